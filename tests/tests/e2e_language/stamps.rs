//! Several instances of one block.

use crate::folder::Folder;

#[test]
fn for_each_of_a_list_makes_one_instance_for_each_text() {
    let compiled = Folder::of(
        "[valkey.cache]\nversion = 8\nfor_each = [\"b\", \"a\"]\n\
         listen = \"unix:/tmp/doze-${each.key}-${each.value}.sock\"\n",
    )
    .compiled();
    assert_eq!(compiled.names(), ["cache_a", "cache_b"]);
    assert_eq!(compiled.endpoints("cache_b"), ["unix:/tmp/doze-b-b.sock"]);
}

#[test]
fn for_each_of_a_table_has_the_value_of_each_key() {
    let compiled = Folder::of(
        "[valkey.tenant]\nversion = 8\nport = \"${each.value.port}\"\nidle_timeout = \"${each.value.idle}\"\n\
         [valkey.tenant.for_each]\nacme = { port = 6401, idle = \"7s\" }\n\
         umbrella = { port = 6402, idle = \"8s\" }\n",
    )
    .compiled();
    assert_eq!(compiled.names(), ["tenant_acme", "tenant_umbrella"]);
    assert_eq!(compiled.endpoints("tenant_umbrella"), ["127.0.0.1:6402"]);
    assert_eq!(compiled.idle_seconds("tenant_acme"), Some(7));
}

#[test]
fn count_makes_numbered_instances() {
    let compiled =
        Folder::of("[valkey.shard]\nversion = 8\ncount = 3\nport = \"${6400 + count.index}\"\n")
            .compiled();
    assert_eq!(compiled.names(), ["shard_0", "shard_1", "shard_2"]);
    assert_eq!(compiled.endpoints("shard_2"), ["127.0.0.1:6402"]);
}

#[test]
fn a_count_of_zero_makes_none() {
    let compiled = Folder::of(
        "[valkey.shard]\nversion = 8\ncount = 0\nport = 6400\n\n[valkey.cache]\nversion = 8\nport = 6379\n",
    )
    .compiled();
    assert_eq!(compiled.names(), ["cache"]);
}

#[test]
fn count_and_for_each_together_are_an_error_with_both_places() {
    let folder =
        Folder::of("[valkey.cache]\nversion = 8\ncount = 2\nfor_each = [\"x\"]\nport = 6379\n");
    assert_eq!(
        folder.problems(),
        [
            "D019 doze.toml:4 `cache` has both `count` and `for_each` (doze.toml:3) \
          [one of them says how many there are]"
        ]
    );
}

#[test]
fn a_stamped_name_that_another_block_has_is_an_error_with_both_places() {
    let folder = Folder::of(
        "[valkey.cache]\nversion = 8\ncount = 2\nport = \"${6400 + count.index}\"\n\n\
         [valkey.cache_1]\nversion = 8\nport = 6379\n",
    );
    assert_eq!(
        folder.problems(),
        [
            "D010 doze.toml:6 there are two instances called `cache_1` (doze.toml:1) \
 [an instance is called by its name alone, so names are unique in a project]"
        ]
    );
}

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::json;

use super::*;

/// A few names, and a machine with one variable and one file.
struct Names(BTreeMap<Reference, Known>);

impl Scope for Names {
    fn find(&self, reference: &Reference) -> Result<Cow<'_, Known>, Missing> {
        self.0
            .get(reference)
            .map(Cow::Borrowed)
            .ok_or(Missing::Wrong {
                code: Code::Reference,
                message: format!("no {reference}"),
                hint: None,
            })
    }

    fn roots(&self) -> Vec<String> {
        ["var", "local", "postgres"].map(ToOwned::to_owned).into()
    }
}

struct Machine;

impl Surroundings for Machine {
    fn env(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/me".into())
    }

    fn file(&self, _place: &Span, path: &Utf8Path) -> io::Result<String> {
        if path == "seed.sql" {
            Ok("select 1;\n".into())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
}

fn names() -> Names {
    let plain = |value| Known {
        value,
        sensitive: false,
    };
    let variable = |name: &str| Reference::Variable(name.into());
    let url = Reference::Attribute {
        engine: "postgres".into(),
        instance: "my app".into(),
        attribute: "url".into(),
    };
    let secret = Known {
        value: json!("hunter2"),
        sensitive: true,
    };
    Names(
        [
            (variable("tier"), plain(json!("dev"))),
            (variable("n"), plain(json!(3))),
            (variable("zones"), plain(json!(["a", "b"]))),
            (
                variable("map"),
                plain(json!({"x": {"port": 1}, "y": {"port": 2}})),
            ),
            (variable("secret"), secret),
            (url, plain(json!("postgres://"))),
        ]
        .into(),
    )
}

fn known(text: &str) -> Result<Known, String> {
    let place = Place {
        whole: 0..text.len(),
        exact: Some(0),
    };
    let told = |found: Diagnostic| format!("{:?} {}", found.at.span, found.message);
    let expression = Expression::parse(text, place).map_err(told)?;
    let (names, budget) = (names(), Budget::default());
    let world = World {
        scope: &names,
        surroundings: &Machine,
        budget: &budget,
    };
    expression
        .evaluate(world)
        .map_err(|found| found.map_or("reported".into(), told))
}

fn value(text: &str) -> Value {
    known(text).unwrap().value
}

fn wrong(text: &str) -> String {
    known(text).unwrap_err()
}

#[test]
fn a_single_expression_has_its_own_type_and_others_are_text() {
    assert_eq!(value("${var.n}"), json!(3));
    assert_eq!(value("n is ${var.n}"), json!("n is 3"));
    assert_eq!(value("${var.n}${var.n}"), json!("33"));
    assert_eq!(value("${var.zones}"), json!(["a", "b"]));
}

#[test]
fn what_is_no_expression_stays_as_it_is() {
    for (text, stays) in [
        ("$${x} ${var.n}", "${x} 3"),
        (
            "%{ if } \\ \" $ { } %% $$ ${var.n}",
            "%{ if } \\ \" $ { } %% $$ 3",
        ),
        ("%%{ ${var.n}", "%%{ 3"),
        ("$$${var.n}", "$${var.n}"),
        ("line\n${var.n}\nline", "line\n3\nline"),
        ("ü ${var.n} 💤", "ü 3 💤"),
    ] {
        assert_eq!(value(text), json!(stays), "{text}");
    }
}

#[test]
fn operators_compute_in_whole_numbers_as_long_as_they_can() {
    for (text, result) in [
        ("${1 + 2 * 3}", json!(7)),
        ("${(1 + 2) * 3}", json!(9)),
        ("${-var.n}", json!(-3)),
        ("${7 / 2}", json!(3.5)),
        ("${6 / 2}", json!(3)),
        ("${7 % 4}", json!(3)),
        ("${var.n > 2 && !false}", json!(true)),
        ("${1 == 1.0}", json!(true)),
        ("${var.tier != \"dev\"}", json!(false)),
        ("${var.n > 5 ? 1 / 0 : 2}", json!(2)),
        ("${true || 1 / 0 == 1}", json!(true)),
        ("${0.5}", json!(0.5)),
        ("${null}", json!(null)),
    ] {
        assert_eq!(value(text), result, "{text}");
    }
}

#[test]
fn collections_are_gone_through_and_into() {
    for (text, result) in [
        ("${var.zones[1]}", json!("b")),
        ("${var.map.x.port}", json!(1)),
        ("${var.map[\"y\"][\"port\"]}", json!(2)),
        ("${values(var.map)[*].port}", json!([1, 2])),
        ("${[for z in var.zones : upper(z)]}", json!(["A", "B"])),
        (
            "${[for i, z in var.zones : \"${i}${z}\" if z != \"a\"]}",
            json!(["1b"]),
        ),
        (
            "${{ for k, v in var.map : k => v.port }}",
            json!({"x": 1, "y": 2}),
        ),
        (
            "${{ for z in [\"a\", \"b\", \"a\"] : z => 1... }}",
            json!({"a": [1, 1], "b": [1]}),
        ),
        ("${{ a = 1, \"b c\" = var.n }}", json!({"a": 1, "b c": 3})),
        ("${max(var.zones == [] ? [0] : [1, 5]...)}", json!(5)),
        ("${postgres[\"my app\"].url}", json!("postgres://")),
    ] {
        assert_eq!(value(text), result, "{text}");
    }
}

/// One line a function at least; the reference page has the same ones.
#[test]
fn every_function_does_what_its_line_says() {
    let examples = [
        (r#"${upper("aß")}"#, json!("ASS")),
        (r#"${lower("AÄ")}"#, json!("aä")),
        (r#"${title("a dog's day")}"#, json!("A Dog's Day")),
        (r#"${trim("?!x?!", "!?")}"#, json!("x")),
        (r#"${trimspace("  x ")}"#, json!("x")),
        (r#"${trimprefix("v17", "v")}"#, json!("17")),
        (r#"${trimsuffix("app.db", ".db")}"#, json!("app")),
        (r#"${replace("a-b-c", "-", "_")}"#, json!("a_b_c")),
        (r#"${replace("a1b22", "/[0-9]+/", "n")}"#, json!("anbn")),
        (r#"${split(",", "a,b,,c")}"#, json!(["a", "b", "", "c"])),
        (r#"${join("-", ["a", 1, true])}"#, json!("a-1-true")),
        (r#"${regex("[a-z]+", "12ab34")}"#, json!("ab")),
        (r#"${regex("([a-z])([0-9])", "x1")}"#, json!(["x", "1"])),
        (r#"${regex("(?P<l>[a-z])", "x")}"#, json!({"l": "x"})),
        (r#"${substr("hällo", 1, 3)}"#, json!("äll")),
        (r#"${substr("hello", -2, -1)}"#, json!("lo")),
        (r#"${strlen("hällo")}"#, json!(5)),
        (r#"${chomp("x\n\n")}"#, json!("x")),
        (r#"${indent(2, "a\nb")}"#, json!("a\n  b")),
        (
            r#"${format("%s-%03d|%5s|%-3s|%.1f|%x|%q|%%", "a", 7, "b", "c", 1.25, 255, "d")}"#,
            json!("a-007|    b|c  |1.2|ff|\"d\"|%"),
        ),
        (
            r#"${formatlist("%s:%d", ["a", "b"], [1, 2])}"#,
            json!(["a:1", "b:2"]),
        ),
        ("${concat([1], [2, 3])}", json!([1, 2, 3])),
        ("${length(var.map)}", json!(2)),
        (r#"${contains(var.zones, "b")}"#, json!(true)),
        ("${keys(var.map)}", json!(["x", "y"])),
        ("${values({a = 1, b = 2})}", json!([1, 2])),
        (r#"${lookup({a = 1}, "b", 9)}"#, json!(9)),
        ("${merge({a = 1}, {a = 2, b = 3})}", json!({"a": 2, "b": 3})),
        ("${flatten([1, [2, [3]]])}", json!([1, 2, 3])),
        ("${distinct([1, 2, 1])}", json!([1, 2])),
        (r#"${sort(["b", "a"])}"#, json!(["a", "b"])),
        ("${reverse([1, 2])}", json!([2, 1])),
        ("${slice([1, 2, 3], 1, 3)}", json!([2, 3])),
        (r#"${element(["a", "b"], 3)}"#, json!("b")),
        (r#"${coalesce(null, "", "x")}"#, json!("x")),
        ("${range(3)}", json!([0, 1, 2])),
        ("${range(5, 0, -2)}", json!([5, 3, 1])),
        ("${abs(-3)}", json!(3)),
        ("${ceil(1.2)}", json!(2)),
        ("${floor(-1.2)}", json!(-2)),
        ("${max(1, 3, 2)}", json!(3)),
        ("${min(1, 3, 2)}", json!(1)),
        (r#"${parseint("ff", 16)}"#, json!(255)),
        ("${jsonencode({a = [1, true]})}", json!("{\"a\":[1,true]}")),
        (r#"${jsondecode("{\"a\": 1}").a}"#, json!(1)),
        (r#"${csvdecode("a,b\n1,2\n")[0].b}"#, json!("2")),
        (r#"${toset(["b", "a", "b"])}"#, json!(["a", "b"])),
        (r#"${tolist(["a"])}"#, json!(["a"])),
        ("${tomap({a = 1})}", json!({"a": 1})),
        ("${tostring(17)}", json!("17")),
        (r#"${tonumber("17")}"#, json!(17)),
        (r#"${tobool("true")}"#, json!(true)),
        (r#"${env("HOME")}"#, json!("/home/me")),
        (r#"${env("NOT_THERE", "x")}"#, json!("x")),
        (r#"${file("seed.sql")}"#, json!("select 1;\n")),
    ];
    for (text, result) in &examples {
        assert_eq!(&value(text), result, "{text}");
    }
    for function in FUNCTIONS {
        let call = format!("{}(", function.name);
        let shown = examples.iter().any(|(text, _)| text.contains(&call));
        assert!(shown, "{} has no example", function.name);
    }
}

#[test]
fn what_has_no_value_says_so_at_its_place() {
    for (text, said) in [
        ("${var.nope}", "2..10 no var.nope"),
        ("${nope}", "2..6 `nope` alone has no value"),
        ("${var}", "2..5 `var` alone has no value"),
        ("${upper()}", "2..9 upper: it takes (text), not 0 arguments"),
        ("${uper(1)}", "2..6 there is no function `uper`"),
        ("x ${[1]}", "4..7 a list cannot be a part of a string"),
        (
            "${1 + true}",
            "2..10 `+` does not go with a number and a boolean",
        ),
        (
            "${9223372036854775807 + 1}",
            "2..25 the result is out of range",
        ),
        (
            "${-9223372036854775807 - 2}",
            "2..26 the result is out of range",
        ),
        ("${1 % 0}", "2..7 nothing can be divided by 0"),
        (
            "${\"a\" ? 1 : 2}",
            "2..5 this has to be true or false, not a text",
        ),
        ("${[1][2]}", "6..7 there is no `2` in it"),
        (
            "${env(\"NOT_THERE\")}",
            "2..18 env: NOT_THERE is not set, and there is no default",
        ),
        (
            "${file(\"x\")}",
            "2..11 file: cannot read x: entity not found",
        ),
        (
            "${range(1, 5, -1)}",
            "2..17 range: with this step it never ends",
        ),
        (
            "${format(\"%s\")}",
            "2..14 format: the template wants more values than there are",
        ),
        (
            "${format(\"%9999d\", 1)}",
            "2..21 format: a width is at most 1024",
        ),
    ] {
        assert_eq!(wrong(text), said, "{text}");
    }
    assert!(wrong("${1 +}").contains("this is no expression"));
}

#[test]
fn a_sensitive_value_makes_what_it_goes_into_sensitive() {
    assert!(known("${var.secret}").unwrap().sensitive);
    assert!(known("a${upper(var.secret)}").unwrap().sensitive);
    assert!(!known("${var.tier}").unwrap().sensitive);
}

#[test]
fn nothing_computes_for_ever() {
    for text in [
        "${range(99999999999)}",
        "${[for a in range(100000) : [for b in range(100000) : a * b]]}",
        "${replace(join(\"\", range(200000)), \"\", join(\"\", range(200000)))}",
        "${indent(1000000000, \"a\\nb\")}",
        // Of what fits, too much at once, or a search that begins anew at every letter.
        "${range(99999999)}",
        "${[for a in [range(100000)] : [for b in range(1000) : a]]}",
        "${split(\"\", join(\"\", range(2000000)))}",
        "${replace(join(\"\", [for i in range(100000) : \"a\"]), \"/a*!|a/\", \"\")}",
        "${replace(join(\"\", range(100000)), \"/.+/\", join(\"\", [for i in range(9999) : \"$0\"]))}",
    ] {
        assert!(wrong(text).contains("compute too much"), "{text}");
    }
}

#[test]
fn what_is_referred_to_is_not_looked_for_for_ever() {
    let all =
        "[for a in range(1000) : [for b in range(1000) : [for c in range(9) : [b, c, b, c]]]]";
    let text = format!("${{{all}}}");
    let place = Place {
        whole: 0..text.len(),
        exact: Some(0),
    };
    let (names, budget) = (names(), Budget::default());
    let world = World {
        scope: &names,
        surroundings: &Machine,
        budget: &budget,
    };
    let found = Expression::parse(&text, place).unwrap().references(world);
    let found = found.unwrap_err().unwrap();
    assert!(found.message.contains("compute too much"), "{found:?}");
}

#[test]
fn a_part_of_something_large_costs_as_much_as_the_part() {
    let large = Known {
        value: (0..100_000).collect(),
        sensitive: false,
    };
    let names = Names([(Reference::Variable("large".into()), large)].into());
    let text = "${[for i in range(10000) : var.large[i]]}";
    let place = Place {
        whole: 0..text.len(),
        exact: Some(0),
    };
    let budget = Budget::default();
    let world = World {
        scope: &names,
        surroundings: &Machine,
        budget: &budget,
    };
    let known = Expression::parse(text, place).unwrap().evaluate(world);
    assert_eq!(known.unwrap().value, (0..10_000).collect::<Value>());
}

#[test]
fn a_value_is_not_nested_without_end() {
    let layers = |depth: usize| {
        let inner = format!("{}var.n{}", "[".repeat(depth), "]".repeat(depth));
        format!("${{[{inner}]}}")
    };
    assert!(known(&layers(20)).is_ok());
    let nested = Known {
        value: (0..20).fold(json!(1), |inner, _| json!([inner])),
        sensitive: false,
    };
    let names = Names([(Reference::Variable("n".into()), nested)].into());
    let text = layers(15);
    let place = Place {
        whole: 0..text.len(),
        exact: None,
    };
    let budget = Budget::default();
    let world = World {
        scope: &names,
        surroundings: &Machine,
        budget: &budget,
    };
    let found = Expression::parse(&text, place).unwrap().evaluate(world);
    let found = found.unwrap_err().unwrap();
    assert!(found.message.contains("more than 32 lists"), "{found:?}");
}

#[test]
fn references_are_found_wherever_they_are() {
    let found = |text: &str| {
        let place = Place {
            whole: 0..text.len(),
            exact: Some(0),
        };
        let (names, budget) = (names(), Budget::default());
        let world = World {
            scope: &names,
            surroundings: &Machine,
            budget: &budget,
        };
        let found = Expression::parse(text, place).unwrap().references(world);
        let found = found.unwrap().into_iter();
        found
            .map(|(it, at)| format!("{it} {at:?}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found("${var.n > 1 ? postgres.a.url : valkey[\"b c\"].port}"),
        [
            "var.n 2..7",
            "postgres.a.url 14..28",
            "valkey.b c.port 31..49"
        ]
    );
    assert_eq!(
        found("${[for z in var.zones : postgres[\"s_${z}\"].url]}"),
        [
            "var.zones 12..21",
            "postgres.s_a.url 24..46",
            "postgres.s_b.url 24..46"
        ]
    );
}

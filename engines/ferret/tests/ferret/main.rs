//! The driver's program against a real Postgres with DocumentDB, where there is one, and a stand-in
//! for FerretDB in front of it; and against FerretDB itself where there is one.

mod bed;

use std::{error::Error, os::unix::net::UnixListener, process::Command};

use doze_contract::protocol::Action;
use doze_driver::{
    Driver,
    conformance::{
        Client, Engine, Practice, Subject, World, or_skipped, practice::python, refused, rules,
        toolchains,
    },
};
use doze_engine_ferret::Ferret;
use serde_json::{Value, json};

use bed::{Bed, DRIVER, Life, block};

type Outcome = Result<(), Box<dyn Error>>;

/// Two collections, one of them with a seed, and two indexes.
fn shop(bed: &Bed) -> Result<Value, Box<dyn Error>> {
    let seed = bed.file(
        "carts.json",
        r#"{"_id": {"$oid": "507f1f77bcf86cd799439011"}, "user": "ada", "at": {"$date": "2020-01-01T00:00:00Z"}, "z": 1, "a": 2}
{"_id": 2, "user": "bob", "total": {"$numberDecimal": "1.50"}, "at": null}
"#,
    )?;
    Ok(json!({ "database": { "shop": { "collection": {
        "carts": {
            "seed": seed,
            "index": {
                "by_user": { "keys": ["user", "-at", "_id"] },
                "users": { "keys": ["user"], "unique": true },
            },
        },
        "empty": {},
    } } } }))
}

#[test]
fn the_driver_keeps_every_rule_with_documentdb_and_a_stand_in() -> Outcome {
    for bed in Bed::new()? {
        let mut declared = shop(&bed)?;
        declared["user"] = json!({ "app": { "password": "s3cret" } });
        declared["settings"] = json!({ "log-level": "info" });
        let broken = rules::broken(&Subject {
            program: DRIVER.into(),
            toolchain: Ok(bed.toolchain.clone()),
            block: block(&declared),
            secrets: vec!["s3cret".to_owned()],
            practice: Some(inside()),
        })?;
        assert_eq!(broken, [""; 0]);
    }
    Ok(())
}

#[test]
fn the_driver_keeps_every_rule_with_ferretdb() -> Outcome {
    let what =
        "ferretdb; set DOZE_FERRET_BINDIR to a folder with it and the Postgres of DocumentDB";
    let found = toolchains(&Ferret::ABOUT);
    let mut engines: Vec<_> = found.into_iter().map(Ok).collect();
    if engines.is_empty() {
        // What takes no server is shown all the same.
        engines.push(Err(what.to_owned()));
    }
    for toolchain in engines {
        let broken = rules::broken(&Subject {
            program: DRIVER.into(),
            toolchain,
            block: block(&json!({
                "database": { "shop": { "collection": { "empty": {}, "carts": {
                    "index": { "by": { "keys": ["a"] } } } } } },
                "user": { "app": { "password": "s3cret" } },
            })),
            secrets: vec!["s3cret".to_owned()],
            practice: Some(Practice {
                clients: vec![pymongo(), Err("second client of MongoDB".to_owned())],
                ..inside()
            }),
        })?;
        assert_eq!(broken, [""; 0]);
    }
    Ok(())
}

/// Postgres behind the stand-in, which is no document database itself.
fn inside() -> Practice {
    let psql = Client {
        name: "psql, past FerretDB",
        ask: |plan, store| match store {
            Some(text) => bed::inside(
                plan,
                &format!(
                    "SELECT documentdb_api.update('shop', '{}')",
                    json!({ "update": "stored", "updates": [
                        { "q": { "_id": 1 }, "u": { "$set": { "text": text } }, "upsert": true },
                    ] })
                ),
            ),
            None => bed::inside(
                plan,
                "SELECT documentdb_core.bson_to_json_string(document)
                 FROM documentdb_api.collection('shop', 'stored')",
            ),
        },
    };
    Practice {
        clients: vec![
            Ok(psql),
            Err("FerretDB, to be asked as MongoDB is".to_owned()),
        ],
        drift: Some(|plan| {
            bed::inside(
                plan,
                "SELECT documentdb_api.drop_collection('shop', 'empty')",
            )
        }),
    }
}

fn pymongo() -> Result<Client, String> {
    Client::in_python("pymongo", |plan, store| {
        const SCRIPT: &str = "\
import pymongo, sys
stored = pymongo.MongoClient(sys.argv[1]).shop.stored
if sys.argv[2:]: stored.replace_one({'_id': 1}, {'text': sys.argv[2]}, upsert=True)
else: print(stored.find_one()['text'])
";
        python(SCRIPT, plan, store)
    })
}

/// An acceptance line: `ferret (seeded rows)`.
#[test]
fn ferret_has_the_seeded_rows() -> Outcome {
    for bed in Bed::new()? {
        let life = Life::begin(&bed, &shop(&bed)?)?;
        let changes = life.converge()?;
        let objects: Vec<_> = changes
            .iter()
            .map(|change| change.object.as_str())
            .collect();
        assert_eq!(
            objects,
            [
                "collection shop.carts",
                "index by_user of shop.carts",
                "index users of shop.carts",
                "collection shop.empty",
            ]
        );
        // The types that plain JSON has no form for, and the order of the fields.
        assert_eq!(
            life.documents("shop", "carts")?,
            [
                r#"{ "_id" : { "$oid" : "507f1f77bcf86cd799439011" }, "user" : "ada", "at" : { "$date" : { "$numberLong" : "1577836800000" } }, "z" : { "$numberInt" : "1" }, "a" : { "$numberInt" : "2" } }"#,
                r#"{ "_id" : { "$numberInt" : "2" }, "user" : "bob", "total" : { "$numberDecimal" : "1.50" }, "at" : null }"#,
            ]
        );
        assert_eq!(life.documents("shop", "empty")?, [""; 0]);
        life.end()?;
    }
    Ok(())
}

/// An acceptance line: `ferret (seed idempotent)`.
#[test]
fn a_ferret_seed_is_planted_once_whatever_becomes_of_it() -> Outcome {
    for bed in Bed::new()? {
        let declared = shop(&bed)?;
        let life = Life::begin(&bed, &declared)?;
        life.converge()?;
        assert_eq!(life.converge()?, []);
        life.sql("SELECT documentdb_api.delete('shop', '{\"delete\":\"carts\",\"deletes\":[{\"q\":{},\"limit\":0}]}')")?;
        assert_eq!(life.converge()?, []);
        let life = life.sleep_and_wake(&declared)?;
        assert_eq!(life.converge()?, []);
        assert_eq!(life.documents("shop", "carts")?, [""; 0]);
        life.end()?;
    }
    Ok(())
}

/// An acceptance line: `ferret (index present)`.
#[test]
fn ferret_has_the_declared_indexes_with_their_keys_in_order_and_they_are_built() -> Outcome {
    for bed in Bed::new()? {
        let life = Life::begin(&bed, &shop(&bed)?)?;
        life.converge()?;
        let indexes = life.indexes("shop", "carts")?;
        for expected in [
            r#""key" : { "user" : { "$numberInt" : "1" }, "at" : { "$numberInt" : "-1" }, "_id" : { "$numberInt" : "1" } }, "name" : "by_user""#,
            r#""key" : { "user" : { "$numberInt" : "1" } }, "name" : "users", "unique" : true"#,
        ] {
            assert!(indexes.contains(expected), "{expected}\n{indexes}");
        }
        let unbuilt = "SELECT count(*) FROM documentdb_api_catalog.collection_indexes
            WHERE NOT index_is_valid";
        assert_eq!(life.sql(unbuilt)?, "0");
        let twice = life.sql(
            "SELECT p_success FROM documentdb_api.insert('shop',
                '{\"insert\":\"carts\",\"documents\":[{\"user\":\"ada\"}]}')",
        )?;
        assert_eq!(twice, "f", "the index is unique");
        life.end()?;
    }
    Ok(())
}

/// An acceptance line: `ferret (later-added collection appears)`.
#[test]
fn a_ferret_collection_that_is_declared_later_appears_and_the_others_stay() -> Outcome {
    for bed in Bed::new()? {
        let mut declared = shop(&bed)?;
        let life = Life::begin(&bed, &declared)?;
        life.converge()?;
        let more = bed.file("more.json", "[{\"n\": 1}, {\"n\": 2}, {\"n\": 3}]")?;
        declared["database"]["shop"]["collection"]["later"] = json!({ "seed": more });
        declared["database"]["other"] = json!({ "collection": { "größe": {} } });
        let life = life.sleep_and_wake(&declared)?;
        let changes = life.converge()?;
        let objects: Vec<_> = changes
            .iter()
            .map(|change| change.object.as_str())
            .collect();
        assert_eq!(objects, ["collection other.größe", "collection shop.later"]);
        assert_eq!(life.documents("shop", "later")?.len(), 3);
        assert_eq!(life.documents("shop", "carts")?.len(), 2);
        assert_eq!(life.converge()?, []);
        life.end()?;
    }
    Ok(())
}

#[test]
fn a_seed_that_cannot_be_planted_leaves_nothing_and_is_told() -> Outcome {
    for bed in Bed::new()? {
        let mut declared = shop(&bed)?;
        let seed = bed.file("carts.json", "{\"user\":\"ada\"}\n{\"user\":\"ada\"}")?;
        let life = Life::begin(&bed, &declared)?;
        let told = life.converge().unwrap_err();
        assert!(
            told.contains("create_indexes") && told.contains("users"),
            "{told}"
        );
        assert_eq!(
            life.sql("SELECT count(*) FROM documentdb_api_catalog.collections")?,
            "0"
        );

        bed.file("carts.json", "{\"user\":\"ada\"}\n{\"user\":")?;
        let told = life.converge().unwrap_err();
        assert!(told.contains(&seed) && told.contains("no JSON"), "{told}");
        declared["database"]["shop"]["collection"]["carts"]["seed"] = json!("/nonexistent.json");
        let life = life.sleep_and_wake(&declared)?;
        let told = life.converge().unwrap_err();
        assert!(told.contains("/nonexistent.json"), "{told}");
        bed.file("carts.json", "{\"user\":\"ada\"}")?;
        let life = life.sleep_and_wake(&shop(&bed)?)?;
        life.converge()?;
        life.end()?;
    }
    Ok(())
}

#[test]
fn users_log_in_with_whatever_is_declared_and_a_new_password_replaces_the_old_one() -> Outcome {
    for bed in Bed::new()? {
        let hostile = "it's \"%$ü\\;";
        let strange = " pÄss'\\\"$%\u{2192} ";
        let users = |password: &str, role: &str| {
            json!({ "user": {
                "app": { "password": password, "role": role },
                hostile: { "password": strange },
            } })
        };
        let life = Life::begin(&bed, &users("x\t'", "readWriteAnyDatabase"))?;
        life.converge()?;
        assert!(life.lets_in(hostile, strange)?);
        assert!(!life.lets_in(hostile, "other")?);
        assert!(life.lets_in("app", "x\t'")?);
        assert_eq!(life.converge()?, []);
        assert!(
            !life.plan().body.members[1]
                .argv
                .contains(&"--no-auth".to_owned())
        );

        let life = life.sleep_and_wake(&users("new s3cret", "readWriteAnyDatabase"))?;
        let changes = life.converge()?;
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].action, Action::Alter);
        assert!(!changes[0].statement.contains("s3cret"));
        assert!(life.lets_in("app", "new s3cret")? && !life.lets_in("app", "x\t'")?);

        let life = life.sleep_and_wake(&users("new s3cret", "readAnyDatabase"))?;
        assert_eq!(life.converge()?.len(), 1);
        assert_eq!(life.converge()?, []);
        assert!(life.lets_in("app", "new s3cret")?);
        assert!(!life.log().contains("s3cret"), "it is in the log");
        life.end()?;
    }
    Ok(())
}

#[test]
fn drift_made_by_hand_is_seen_and_put_right() -> Outcome {
    for bed in Bed::new()? {
        let life = Life::begin(&bed, &shop(&bed)?)?;
        life.converge()?;
        life.sql("CALL documentdb_api.drop_indexes('shop', '{\"dropIndexes\":\"carts\",\"index\":\"by_user\"}')")?;
        life.sql("SELECT documentdb_api_internal.create_indexes_non_concurrently('shop',
            '{\"createIndexes\":\"carts\",\"indexes\":[{\"key\":{\"_id\":1,\"user\":1},\"name\":\"by_user\"}]}', true)")?;
        life.sql("SELECT documentdb_api.drop_collection('shop', 'empty')")?;
        let changes = life.converge()?;
        let told: Vec<_> = changes
            .iter()
            .map(|it| (it.action, it.object.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                (Action::Alter, "index by_user of shop.carts"),
                (Action::Create, "collection shop.empty"),
            ]
        );
        assert_eq!(life.converge()?, []);
        life.end()?;
    }
    Ok(())
}

#[test]
fn pruning_takes_what_doze_made_and_keeps_data_and_what_others_made() -> Outcome {
    for bed in Bed::new()? {
        let mut declared = shop(&bed)?;
        declared["user"] = json!({ "app": { "password": "x" } });
        let life = Life::begin(&bed, &declared)?;
        life.converge()?;
        life.sql("SELECT documentdb_api.create_collection('shop', 'theirs')")?;
        let life = life.sleep_and_wake(&json!({}))?;
        assert_eq!(life.converge()?, []);
        let pruned = life.prune()?;
        let told: Vec<_> = pruned.changes.iter().map(|it| it.object.as_str()).collect();
        assert_eq!(
            told,
            [
                "index users of shop.carts",
                "index by_user of shop.carts",
                "collection shop.empty",
                "user app",
            ]
        );
        assert!(pruned.changes.iter().all(|it| it.action == Action::Drop));
        assert_eq!(pruned.kept.len(), 1);
        assert_eq!(pruned.kept[0].object, "collection shop.carts");
        assert_eq!(pruned.kept[0].reason, "has 2 documents");
        assert_eq!(life.prune()?.changes, []);
        assert_eq!(life.documents("shop", "carts")?.len(), 2);
        let left = "SELECT string_agg(collection_name, ' ' ORDER BY 1)
            FROM documentdb_api_catalog.collections WHERE collection_name !~ '^system'";
        assert_eq!(life.sql(left)?, "carts theirs");
        life.end()?;
    }
    Ok(())
}

/// Clients build indexes in the background, by a job that would dial an address that there is not.
#[test]
fn an_index_that_a_client_asks_for_is_built_in_the_background() -> Outcome {
    for bed in Bed::new()? {
        let life = Life::begin(&bed, &shop(&bed)?)?;
        life.converge()?;
        life.sql(
            "SELECT documentdb_api.create_indexes_background('shop',
            '{\"createIndexes\":\"carts\",\"indexes\":[{\"key\":{\"z\":1},\"name\":\"z\"}]}')",
        )?;
        life.until_sql(
            "SELECT count(*) FROM documentdb_api_catalog.collection_indexes WHERE NOT index_is_valid",
            "0",
        )?;
        life.end()?;
    }
    Ok(())
}

#[test]
fn nothing_listens_on_tcp() -> Outcome {
    for bed in Bed::new()? {
        let life = Life::begin(&bed, &json!({}))?;
        assert_eq!(life.sql("SHOW listen_addresses")?, "");
        assert!(
            life.plan().body.members[1]
                .argv
                .contains(&"--no-auth".to_owned())
        );
        life.end()?;
    }
    Ok(())
}

/// What somebody sees whose program uses the usual client.
#[test]
fn a_client_shows_why_it_is_refused() -> Outcome {
    let script = "import sys, pymongo\n\
         try:\n    pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=8000).shop.carts.count_documents({})\n\
         except pymongo.errors.PyMongoError as error:\n    print(type(error).__name__, getattr(error, 'code', None), error)\n";
    let python = "/usr/bin/python3";
    let there = Command::new(python)
        .args(["-c", "import pymongo"])
        .output()?;
    let there = there.status.success().then_some(());
    for () in or_skipped(
        "pymongo; install `python3-pymongo`",
        there.into_iter().collect(),
    ) {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("mongodb-27017.sock");
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        let refusal = doze_driver::Refusal {
            reason: "cannot start:\n\tno space".to_owned(),
            hint: "doze logs docs".to_owned(),
        };
        for login in ["", "app:x@"] {
            let mut client = Command::new(python);
            let host = path.to_string_lossy().replace('/', "%2F");
            client.args(["-c", script, &format!("mongodb://{login}{host}/")]);
            let accept = || Ok(listener.accept()?.0.into());
            let output = refused(DRIVER.into(), &refusal, accept, client)?;
            let told = String::from_utf8([output.stdout, output.stderr].concat())?;
            let expected =
                "OperationFailure 96 doze: cannot start: no space; doze logs docs shows more";
            assert!(told.contains(expected), "{login}: {told}");
        }
    }
    Ok(())
}

/// A data directory that another major version of Postgres made is told, and not touched.
#[test]
fn another_major_version_is_told() -> Outcome {
    for bed in Bed::new()? {
        let world = World::new(DRIVER, &bed.toolchain)?;
        let plan = world.plan("docs", &block(&json!({})))?;
        world.provision(&plan)?;
        let mark = plan.paths.data.join("postgres/PG_VERSION");
        let marked = std::fs::read_to_string(&mark)?;
        bed::write(&mark, "17\n")?;
        let told = world.provision(&plan).unwrap_err();
        let told = doze_contract::error::chain(&told);
        assert!(told.contains("PostgreSQL 17 made"), "{told}");
        bed::write(&mark, &marked)?;
        world.provision(&plan)?;
        Engine::boot(&world, &plan)?.stop()?;
    }
    Ok(())
}

/// The second data directory is a clone of what the first one was made of, and is its own.
#[test]
fn another_instance_is_cloned_from_a_template() -> Outcome {
    for bed in Bed::new()? {
        let world = World::new(DRIVER, &bed.toolchain)?;
        let plan = world.plan("docs", &block(&shop(&bed)?))?;
        world.provision(&plan)?;
        let engine = Engine::boot(&world, &plan)?;
        assert_eq!(world.converge(&plan, false)?.len(), 4);
        engine.stop()?;
        std::fs::remove_dir_all(&plan.paths.data)?;
        std::fs::remove_file(bed.toolchain.folder.join("initdb"))?;
        world.provision(&plan)?;
        let engine = Engine::boot(&world, &plan)?;
        assert_eq!(world.converge(&plan, false)?.len(), 4, "it is empty");
        engine.stop()?;
    }
    Ok(())
}

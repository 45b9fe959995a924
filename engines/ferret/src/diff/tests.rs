use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;

fn wanted(value: Value) -> Structure {
    serde_json::from_value(value).unwrap()
}

fn carts(index: &Value) -> Structure {
    wanted(json!({
        "user": {},
        "database": { "shop": { "collection": { "carts": { "seed": "/s.json", "index": index } } } },
    }))
}

/// A server with one collection, and these indexes in it.
fn live(indexes: &[(&str, &[&str], bool)]) -> Live {
    let index = |(name, keys, unique): &(&str, &[&str], bool)| {
        let index = Index {
            keys: keys.iter().map(ToString::to_string).collect(),
            unique: *unique,
        };
        let live = LiveIndex {
            key: key(&index),
            unique: *unique,
        };
        ((*name).to_owned(), live)
    };
    let place = ("shop".to_owned(), "carts".to_owned());
    Live {
        collections: [(place, indexes.iter().map(index).collect())].into(),
        ..Live::default()
    }
}

fn told(work: &[Work]) -> Vec<(Action, String, usize)> {
    let of = |work: &Work| (work.action, work.object.to_string(), work.calls.len());
    work.iter().map(of).collect()
}

#[test]
fn a_collection_is_filled_when_it_is_made_and_never_again() {
    let structure = carts(&json!({}));
    let made = work(&structure, &Live::default());
    assert_eq!(
        told(&made),
        [(Action::Create, "collection shop.carts".to_owned(), 2)]
    );
    assert!(made[0].change().statement.contains("/s.json"));
    assert_eq!(work(&structure, &live(&[])), []);
}

#[test]
fn an_index_is_compared_with_its_fields_in_their_order() {
    let structure = carts(&json!({ "by": { "keys": ["a", "-b"], "unique": true } }));
    let object = "index by of shop.carts".to_owned();
    for (there, expected) in [
        (&[][..], vec![(Action::Create, object.clone(), 1)]),
        (&[("by", &["a", "-b"][..], true)], vec![]),
        (
            &[("by", &["-b", "a"], true)],
            vec![(Action::Alter, object.clone(), 2)],
        ),
        (
            &[("by", &["a", "-b"], false)],
            vec![(Action::Alter, object.clone(), 2)],
        ),
        (
            &[("other", &["a", "-b"], true)],
            vec![(Action::Create, object.clone(), 2)],
        ),
        (
            &[("other", &["a", "b"], true)],
            vec![(Action::Create, object.clone(), 1)],
        ),
    ] {
        assert_eq!(told(&work(&structure, &live(there))), expected, "{there:?}");
    }
}

#[test]
fn a_user_gets_the_declared_password_and_role() {
    let structure = wanted(json!({
        "database": {}, "user": { "app": { "password": "s3cret", "role": "readAnyDatabase" } },
    }));
    let with = |role: &str, locked_out: bool| Live {
        users: [("app".to_owned(), BTreeSet::from([role.to_owned()]))].into(),
        locked_out: locked_out.then(|| "app".to_owned()).into_iter().collect(),
        ..Live::default()
    };
    let statement = |live: &Live| {
        let all = work(&structure, live);
        all.first()
            .map(|work| (work.action, work.change().statement))
    };
    let (action, text) = statement(&Live::default()).unwrap();
    assert_eq!(action, Action::Create);
    assert!(
        text.contains("create_user") && !text.contains("s3cret"),
        "{text}"
    );
    assert_eq!(statement(&with("readAnyDatabase", false)), None);
    let (action, text) = statement(&with("readAnyDatabase", true)).unwrap();
    assert_eq!(action, Action::Alter);
    assert!(
        text.contains("update_user") && !text.contains("s3cret"),
        "{text}"
    );
    let (action, text) = statement(&with("readWriteAnyDatabase", true)).unwrap();
    assert_eq!(action, Action::Alter);
    assert!(
        text.contains("drop_user") && text.contains("create_user"),
        "{text}"
    );
}

#[test]
fn only_what_doze_made_and_what_holds_nothing_is_taken_away() {
    let nothing = wanted(json!({ "database": {}, "user": {} }));
    let mut live = live(&[("by", &["a"], false), ("theirs", &["b"], false)]);
    live.users = ["app", "theirs"]
        .map(|name| (name.to_owned(), BTreeSet::new()))
        .into();
    assert_eq!(pruning(&nothing, &live), (vec![], vec![]));

    let place = ("shop".to_owned(), "carts".to_owned());
    let object = |parts: &[&str], kind| {
        let parts = parts.iter().map(ToString::to_string).collect();
        Object::from_parts(kind, parts).unwrap()
    };
    live.made = [
        object(&["app"], "user"),
        object(&["gone"], "user"),
        object(&["shop", "carts"], "collection"),
        object(&["shop", "carts", "by"], "index"),
    ]
    .into();
    live.documents = BTreeMap::from([(place.clone(), 3)]);
    let (all, kept) = pruning(&nothing, &live);
    let names: Vec<_> = told(&all).into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["index by of shop.carts", "user app"]);
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].reason, "has 3 documents");

    live.documents.insert(place, 0);
    let (all, kept) = pruning(&nothing, &live);
    let names: Vec<_> = told(&all).into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(
        names,
        [
            "index by of shop.carts",
            "collection shop.carts",
            "user app"
        ]
    );
    assert_eq!(kept, []);

    let still = carts(&json!({ "by": { "keys": ["a"], "unique": false } }));
    let names: Vec<_> = told(&pruning(&still, &live).0);
    assert_eq!(names, [(Action::Drop, "user app".to_owned(), 1)]);
}

//! From what is declared and what there is to what has to be done. Pure.

use bson::{Bson, Document, doc};
use doze_contract::protocol::{Action, Kept};

use crate::{
    block::{Collection, Index, Order, User},
    catalog::{Live, LiveIndex},
    plan::Structure,
    work::{Call, Object, Work},
};

/// What has to be done, in this order.
pub(crate) fn work(wanted: &Structure, live: &Live) -> Vec<Work> {
    let users = wanted.user.iter();
    let mut all: Vec<_> = users
        .filter_map(|(name, user)| self::user(name, user, live))
        .collect();
    for (database, declared) in &wanted.database {
        for (name, collection) in &declared.collection {
            all.extend(self::collection(database, name, collection, live));
        }
    }
    all
}

fn user(name: &str, wanted: &User, live: &Live) -> Option<Work> {
    let call = |function, key: &str, more: Document| {
        let mut command = doc! { key: name };
        command.extend(more);
        Call::user(function, command)
    };
    let role = |role: &str| doc! { "role": role, "db": "admin" };
    let mut roles = vec![role(&wanted.role)];
    if wanted.role == "readWriteAnyDatabase" {
        // DocumentDB has the two together only.
        roles.push(role("clusterAdmin"));
    }
    let create = call(
        "documentdb_api.create_user",
        "createUser",
        doc! { "pwd": &wanted.password, "roles": roles },
    );
    let (action, calls) = match live.users.get(name) {
        None => (Action::Create, vec![create]),
        // A role cannot be changed.
        Some(roles) if !roles.contains(&wanted.role) => {
            let drop = call("documentdb_api.drop_user", "dropUser", doc! {});
            (Action::Alter, vec![drop, create])
        }
        Some(_) if live.locked_out.contains(name) => {
            let more = doc! { "pwd": &wanted.password };
            let update = call("documentdb_api.update_user", "updateUser", more);
            (Action::Alter, vec![update])
        }
        Some(_) => return None,
    };
    Some(Work {
        action,
        object: Object::User(name.to_owned()),
        calls,
    })
}

/// A collection is filled when it is made, and never again.
fn collection(database: &str, name: &str, wanted: &Collection, live: &Live) -> Vec<Work> {
    let there = live
        .collections
        .get(&(database.to_owned(), name.to_owned()));
    let mut all = Vec::new();
    if there.is_none() {
        let mut calls = vec![Call::create_collection(database, name)];
        let seed = wanted.seed.as_deref();
        calls.extend(seed.map(|seed| Call::fill(database, name, seed)));
        all.push(Work {
            action: Action::Create,
            object: Object::Collection(database.to_owned(), name.to_owned()),
            calls,
        });
    }
    for (index, wanted_index) in &wanted.index {
        let key = key(wanted_index);
        let same = |found: &LiveIndex| found.key == key && found.unique == wanted_index.unique;
        let found = there.and_then(|there| there.get(index));
        if found.is_some_and(same) {
            continue;
        }
        let mut calls = Vec::new();
        // An index of the same fields under another name keeps this one out, and holds nothing itself.
        let others = there.into_iter().flatten().filter(|(other, found)| {
            *other != index && found.key == key && !wanted.index.contains_key(*other)
        });
        let in_the_way = others.map(|(other, _)| other).chain(found.map(|_| index));
        calls.extend(in_the_way.map(|other| Call::drop_index(database, name, other)));
        let spec = spec(index, key, wanted_index.unique);
        calls.push(Call::create_index(database, name, spec));
        all.push(Work {
            action: if found.is_some() {
                Action::Alter
            } else {
                Action::Create
            },
            object: Object::Index(database.to_owned(), name.to_owned(), index.clone()),
            calls,
        });
    }
    all
}

fn key(index: &Index) -> Vec<(String, Bson)> {
    let field = |text: &String| {
        let (field, order) = Order::read(text);
        (field.to_owned(), order.value())
    };
    index.keys.iter().map(field).collect()
}

fn spec(name: &str, key: Vec<(String, Bson)>, unique: bool) -> Document {
    let key: Document = key.into_iter().collect();
    let mut spec = doc! { "key": key, "name": name };
    if unique {
        spec.insert("unique", true);
    }
    spec
}

/// What takes away what doze has made and nobody declares any more, and what stays of that.
pub(crate) fn pruning(wanted: &Structure, live: &Live) -> (Vec<Work>, Vec<Kept>) {
    let (mut all, mut kept) = (Vec::new(), Vec::new());
    for object in &live.made {
        let call = match object {
            Object::User(name) if !wanted.user.contains_key(name) => live
                .users
                .contains_key(name)
                .then(|| Call::user("documentdb_api.drop_user", doc! { "dropUser": name })),
            Object::Collection(database, name) if declared(wanted, database, name).is_none() => {
                let place = (database.clone(), name.clone());
                match live.documents.get(&place) {
                    Some(0) => Some(Call::drop_collection(database, name)),
                    Some(count) => {
                        kept.push(Kept {
                            object: object.to_string(),
                            reason: format!("has {count} documents"),
                        });
                        continue;
                    }
                    None => None,
                }
            }
            Object::Index(database, name, index)
                if declared(wanted, database, name)
                    .is_none_or(|wanted| !wanted.index.contains_key(index)) =>
            {
                let there = live.collections.get(&(database.clone(), name.clone()));
                let there = there.is_some_and(|there| there.contains_key(index));
                there.then(|| Call::drop_index(database, name, index))
            }
            Object::User(_) | Object::Collection(..) | Object::Index(..) => continue,
        };
        if let Some(call) = call {
            all.push(Work {
                action: Action::Drop,
                object: object.clone(),
                calls: vec![call],
            });
        }
    }
    // The indexes of a collection come before it.
    all.sort_by(|a, b| b.object.cmp(&a.object));
    (all, kept)
}

fn declared<'a>(wanted: &'a Structure, database: &str, name: &str) -> Option<&'a Collection> {
    wanted.database.get(database)?.collection.get(name)
}

#[cfg(test)]
mod tests;

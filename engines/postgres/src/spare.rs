//! The spare database of a new cluster: renamed, it is the database of the instance, many times
//! faster than a CREATE DATABASE. It must not know what else is declared.

use doze_contract::protocol::Action;

use crate::{
    catalog::Live,
    diff::{Place, Step},
    sql::identifier,
    structure::Structure,
};

/// What it is called.
pub(crate) const NAME: &str = "doze_spare";

/// Takes the spare database, if there is one, in place of creating the one of the instance.
pub(crate) fn take(steps: &mut [Step], wanted: &Structure, live: &Live) {
    let name = &wanted.database;
    let created = |step: &&mut Step| {
        step.change.action == Action::Create && step.change.object == format!("database {name}")
    };
    if live.databases.contains_key(NAME)
        && let Some(step) = steps.iter_mut().find(created)
    {
        let quoted = identifier(name);
        step.sql = format!(
            "ALTER DATABASE {NAME} RENAME TO {quoted}; ALTER DATABASE {quoted} OWNER TO {}",
            identifier(&wanted.owner)
        );
        step.change.statement.clone_from(&step.sql);
        step.place = Place::Anywhere;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        block::{Block, KEYS},
        catalog::LiveDatabase,
        diff,
        record::Record,
    };

    fn live_database() -> LiveDatabase {
        LiveDatabase {
            owner: "me".to_owned(),
            encoding: "UTF8".to_owned(),
            locale: "C.UTF-8".to_owned(),
            connection_limit: -1,
            is_template: false,
            allow_connections: true,
            comment: None,
        }
    }

    #[test]
    fn the_spare_database_is_for_the_instance_and_for_nobody_else() {
        let block = json!({ "owner": "me", "database": { "aaa": {}, "other": {} } });
        let block = serde_json::from_value(block).unwrap();
        let block = doze_driver::block::check(KEYS, &block).block;
        let block: Block = serde_json::from_value(block).unwrap();
        let wanted = Structure::new("app", &block);
        let statements = |databases: &[&str]| {
            let owned = |name: &&str| ((*name).to_owned(), live_database());
            let live = Live {
                databases: databases.iter().map(owned).collect(),
                ..Live::default()
            };
            let mut steps = diff::diff(&wanted, &live, &Record::default())
                .unwrap()
                .steps;
            take(&mut steps, &wanted, &live);
            let steps = steps.into_iter();
            let steps = steps.filter(|step| step.change.object.starts_with("database "));
            steps.map(|step| step.sql).collect::<Vec<_>>()
        };
        let create = |name| format!("CREATE DATABASE \"{name}\" OWNER \"me\"");
        let take = "ALTER DATABASE doze_spare RENAME TO \"app\"; \
                    ALTER DATABASE \"app\" OWNER TO \"me\"";
        assert_eq!(
            statements(&["postgres", NAME]),
            [create("aaa"), take.to_owned(), create("other")]
        );
        assert_eq!(statements(&["app", NAME]), ["aaa", "other"].map(create));
        assert_eq!(statements(&[]), ["aaa", "app", "other"].map(create));
    }
}

//! The keys of what is in a server. It must not know how any of it is made.

use doze_driver::block::{Key, Kind, Rule};

use super::{names, setting_name, setting_value};

/// The keys of a role.
pub(super) const ROLE_KEYS: &[Key] = &[
    optional(
        "password",
        names::password,
        "What the role has to give to log in. Without it nobody is asked.",
    ),
    flag("login", true, "May log in. A group of roles does not."),
    flag("superuser", false, "May do everything."),
    flag("createdb", false, "May create databases."),
    flag("createrole", false, "May create roles."),
    flag("replication", false, "May replicate the server."),
    flag(
        "inherit",
        true,
        "Has the privileges of the roles that it is a member of without asking for them.",
    ),
    flag(
        "bypassrls",
        false,
        "Sees all rows, whatever row security says.",
    ),
    CONNECTION_LIMIT,
    optional(
        "valid_until",
        names::moment,
        "When its password ends to be valid: a day in UTC, or a moment such as \
         2030-12-31T23:59:59Z.",
    ),
    Key {
        name: "member_of",
        kind: Kind::Texts { rule: names::group },
        doc: "The roles that it is a member of.",
    },
    Key {
        name: "settings",
        kind: Kind::Settings {
            owned: &[],
            name: setting_name,
            value: setting_value,
        },
        doc: "Settings that its sessions begin with.",
    },
    COMMENT,
];

/// The keys of a database.
pub(super) const DATABASE_KEYS: &[Key] = &[
    OWNER,
    optional(
        "encoding",
        names::name,
        "Its encoding, such as UTF8. It cannot be changed later.",
    ),
    optional(
        "locale",
        names::name,
        "Its locale, such as C.UTF-8. It cannot be changed later.",
    ),
    optional(
        "template",
        names::name,
        "The database that it is copied from, once. Without it `template1`, or `template0` where an \
         encoding or a locale is declared.",
    ),
    CONNECTION_LIMIT,
    flag(
        "is_template",
        false,
        "May be copied by everybody who may create databases.",
    ),
    flag(
        "allow_connections",
        true,
        "May be connected to; one that is only a template need not.",
    ),
    COMMENT,
];

/// The keys of a schema.
pub(super) const SCHEMA_KEYS: &[Key] = &[OWNER, COMMENT];

/// The keys of an extension.
pub(super) const EXTENSION_KEYS: &[Key] = &[
    optional(
        "schema",
        names::name,
        "The schema that its objects are in; without it `public`, or the one that it insists on.",
    ),
    optional(
        "version",
        names::name,
        "Its version; without it the newest at the time when it is created.",
    ),
    flag(
        "cascade",
        true,
        "Brings the extensions along that it needs.",
    ),
    flag(
        "optional",
        false,
        "Is left out where the server does not have it.",
    ),
];

/// The keys of a grant.
pub(super) const GRANT_KEYS: &[Key] = &[
    Key {
        name: "role",
        kind: Kind::Needed {
            example: "app",
            rule: names::grantee,
        },
        doc: "Who gets the privileges; `public` is everybody.",
    },
    Key {
        name: "privileges",
        kind: Kind::Texts { rule: names::name },
        doc: "The privileges, as GRANT has them, such as SELECT and USAGE, or ALL.",
    },
    optional(
        "database",
        names::name,
        "The database that they are for. Either this or `schema`.",
    ),
    optional(
        "schema",
        names::name,
        "The schema that they are for, in the database of the instance.",
    ),
    Key {
        name: "objects",
        kind: Kind::Choice {
            default: None,
            of: &["tables", "sequences", "functions"],
        },
        doc: "What in the schema they are for, if not for the schema itself: all that are there, \
              and all that its owner or the owner of the database makes there later.",
    },
    flag(
        "with_grant_option",
        false,
        "May be passed on by who gets them.",
    ),
];

const OWNER: Key = optional(
    "owner",
    names::role,
    "The role that owns it; without it the owner of the database of the instance.",
);

const COMMENT: Key = optional("comment", names::comment, "What people are told of it.");

const CONNECTION_LIMIT: Key = Key {
    name: "connection_limit",
    kind: Kind::Number {
        default: -1,
        min: -1,
        max: 262_143,
    },
    doc: "How many connections it may have at the same time; -1 is no limit.",
};

const fn flag(name: &'static str, default: bool, doc: &'static str) -> Key {
    Key {
        name,
        kind: Kind::Flag { default },
        doc,
    }
}

const fn optional(name: &'static str, rule: Rule, doc: &'static str) -> Key {
    Key {
        name,
        kind: Kind::Text {
            default: None,
            rule,
        },
        doc,
    }
}

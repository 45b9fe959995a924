//! From the image of a service to an engine and its version.

use doze_contract::Version;

/// What an image is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    /// The engine, which need not have a driver.
    pub(super) engine: &'static str,
    /// Whose variables the image reads.
    pub(super) dialect: Dialect,
    /// Extensions that are there besides the engine's own.
    pub(super) extensions: &'static [&'static str],
    /// The version, as far as the tag says it.
    pub(super) version: Option<Version>,
    /// What is different, if anything is.
    pub(super) remark: Option<&'static str>,
}

/// Whose variables an image reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The publisher's of the engine, or close to it.
    Plain,
    /// Bitnami's.
    Bitnami,
}

#[derive(Clone, Copy)]
struct Row {
    /// `organisation/name`, or a name without an organisation.
    name: &'static str,
    engine: &'static str,
    dialect: Dialect,
    extensions: &'static [&'static str],
    remark: Option<&'static str>,
}

const fn row(name: &'static str, engine: &'static str) -> Row {
    Row {
        name,
        engine,
        dialect: Dialect::Plain,
        extensions: &[],
        remark: None,
    }
}

const fn with(name: &'static str, extensions: &'static [&'static str]) -> Row {
    Row {
        extensions,
        ..row(name, "postgres")
    }
}

const fn bitnami(name: &'static str, engine: &'static str) -> Row {
    Row {
        dialect: Dialect::Bitnami,
        ..row(name, engine)
    }
}

const fn other(name: &'static str, engine: &'static str, remark: &'static str) -> Row {
    but(row(name, engine), remark)
}

/// Likewise, where something is different.
const fn but(row: Row, remark: &'static str) -> Row {
    Row {
        remark: Some(remark),
        ..row
    }
}

const MODULES: &str = "the modules of this image (search, JSON, …) are not here";
const MYSQL: &str = "MariaDB speaks the protocol of MySQL, and is another server";
const MONGO: &str = "FerretDB speaks the protocol of MongoDB, and is another server";
const TEMPORAL: &str = "it is Temporal's development server here, with a version of its own";
const S3: &str = "the buckets are served by another server here";

const KNOWN: &[Row] = &[
    row("postgres", "postgres"),
    bitnami("bitnami/postgresql", "postgres"),
    bitnami("bitnamilegacy/postgresql", "postgres"),
    with("postgis/postgis", &["postgis"]),
    with("pgvector/pgvector", &["vector"]),
    with("ankane/pgvector", &["vector"]),
    with("timescale/timescaledb", &["timescaledb"]),
    with("timescale/timescaledb-ha", &["timescaledb"]),
    other(
        "pgautoupgrade/pgautoupgrade",
        "postgres",
        "data of older versions is not upgraded here; it has to be dumped and restored",
    ),
    row("redis", "valkey"),
    row("valkey/valkey", "valkey"),
    bitnami("bitnami/redis", "valkey"),
    bitnami("bitnami/valkey", "valkey"),
    bitnami("bitnamilegacy/redis", "valkey"),
    bitnami("bitnamilegacy/valkey", "valkey"),
    other("redis/redis-stack", "valkey", MODULES),
    other("redis/redis-stack-server", "valkey", MODULES),
    row("mariadb", "mariadb"),
    bitnami("bitnami/mariadb", "mariadb"),
    bitnami("bitnamilegacy/mariadb", "mariadb"),
    row("linuxserver/mariadb", "mariadb"),
    other("mysql", "mariadb", MYSQL),
    other("mysql/mysql-server", "mariadb", MYSQL),
    but(bitnami("bitnami/mysql", "mariadb"), MYSQL),
    but(bitnami("bitnamilegacy/mysql", "mariadb"), MYSQL),
    other("percona", "mariadb", MYSQL),
    other("percona/percona-server", "mariadb", MYSQL),
    other("mongo", "ferret", MONGO),
    other("mongodb/mongodb-community-server", "ferret", MONGO),
    but(bitnami("bitnami/mongodb", "ferret"), MONGO),
    but(bitnami("bitnamilegacy/mongodb", "ferret"), MONGO),
    row("ferretdb/ferretdb", "ferret"),
    row("ferretdb/ferretdb-eval", "ferret"),
    row("apache/kvrocks", "kvrocks"),
    other("temporalio/auto-setup", "temporal", TEMPORAL),
    other("temporalio/server", "temporal", TEMPORAL),
    other("temporalio/temporal", "temporal", TEMPORAL),
    other("minio/minio", "s3", S3),
    other("bitnami/minio", "s3", S3),
];

/// The last components of names that stand for an engine whoever published the image.
const LOOKS_LIKE: &[(&str, &str)] = &[
    ("postgres", "postgres"),
    ("postgresql", "postgres"),
    ("redis", "valkey"),
    ("valkey", "valkey"),
    ("mariadb", "mariadb"),
];

/// Reads the reference of an image; nothing if it is none that an engine stands for.
pub(super) fn image(reference: &str) -> Option<Image> {
    let reference = reference.split('@').next().unwrap_or_default();
    // A colon before the last slash belongs to the port of a host.
    let (name, tag) = match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, ""),
    };
    let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
    let name = match name.split_once('/') {
        Some((host, rest)) if is_host(host) => rest,
        _ => name,
    };
    let name = name.strip_prefix("library/").unwrap_or(name);
    let exact = KNOWN.iter().find(|row| row.name == name);
    if let Some(row) = exact {
        let version = version(tag).filter(|_| row.remark.is_none_or(|r| r == MODULES));
        return Some(Image {
            engine: row.engine,
            dialect: row.dialect,
            extensions: row.extensions,
            version,
            remark: row.remark,
        });
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    let (_, engine) = LOOKS_LIKE.iter().find(|(known, _)| *known == last)?;
    Some(Image {
        engine,
        dialect: Dialect::Plain,
        extensions: &[],
        version: version(tag),
        remark: Some("the image was taken for that engine by its name; what it adds is not here"),
    })
}

/// The version in a tag: what follows `pg` if there is that, else the number it begins with.
fn version(tag: &str) -> Option<Version> {
    let words = || tag.split(['-', '_']);
    let number = |word: &str| {
        let end = word.find(|c: char| c != '.' && !c.is_ascii_digit());
        let digits = word.get(..end.unwrap_or(word.len()))?.trim_end_matches('.');
        Version::new(digits).ok()
    };
    words()
        .filter_map(|word| word.strip_prefix("pg"))
        .find_map(number)
        .or_else(|| number(tag.trim_start_matches('v')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_known_by_any_of_their_names() {
        for (reference, engine, version) in [
            ("postgres", "postgres", None),
            ("postgres:16-alpine", "postgres", Some("16")),
            ("library/postgres:11.1-alpine", "postgres", Some("11.1")),
            ("registry.example:5000/library/redis:7", "valkey", Some("7")),
            (
                "registry.example/valkey/valkey:8-bookworm@sha256:00",
                "valkey",
                Some("8"),
            ),
            ("localhost/redis", "valkey", None),
            ("redis:alpine", "valkey", None),
            (
                "bitnami/postgresql:16.4.0-debian-12",
                "postgres",
                Some("16.4.0"),
            ),
            ("pgvector/pgvector:0.8.0-pg17", "postgres", Some("17")),
            ("pgvector/pgvector:pg16", "postgres", Some("16")),
            ("timescale/timescaledb:latest-pg15", "postgres", Some("15")),
            ("postgis/postgis:16-3.4", "postgres", Some("16")),
            (
                "registry.example/acme/postgres:14-extras",
                "postgres",
                Some("14"),
            ),
            ("mysql:8.4.5", "mariadb", None),
            ("bitnami/mysql:8.4", "mariadb", None),
            ("mongo:7", "ferret", None),
            ("ghcr.io/ferretdb/ferretdb:2.7.0", "ferret", Some("2.7.0")),
            ("apache/kvrocks:2.11.1", "kvrocks", Some("2.11.1")),
            ("temporalio/auto-setup:1.29.1", "temporal", None),
            ("mariadb:11.4", "mariadb", Some("11.4")),
        ] {
            let found = image(reference).unwrap();
            let read = found.version.map(|version| version.to_string());
            assert_eq!(
                (found.engine, read.as_deref()),
                (engine, version),
                "{reference}"
            );
        }
        for reference in [
            "",
            ":",
            "@",
            "/",
            "caddy:2",
            "acme/postgres-backup:16",
            "redisinsight",
        ] {
            assert_eq!(image(reference), None, "{reference}");
        }
    }
}

//! Durations as whole milliseconds, for serde's `with`. Must not know what they are of.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

#[expect(
    clippy::cast_possible_truncation,
    reason = "584 million years of milliseconds fit"
)]
fn count(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

pub(super) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(count(*value))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    u64::deserialize(from).map(Duration::from_millis)
}

pub(super) mod option {
    use super::{Deserialize, Deserializer, Duration, Serializer, count};

    #[expect(clippy::ref_option, reason = "the signature that serde's `with` calls")]
    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => to.serialize_some(&count(*duration)),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_millis))
    }
}

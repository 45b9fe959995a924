//! Durations as people write them in `doze.toml`: `90s`, `5m`, `1h30m`, `250ms`.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// No number with a unit.
    #[error("a duration is a number with a unit, such as 90s, 5m or 1h30m")]
    Form,
    /// A unit that is none.
    #[error("the units are ms, s, m, h and d")]
    Unit,
    /// Nothing, or more than the clock can count.
    #[error("a duration is at least 1ms and at most 3650d")]
    Range,
}

const LONGEST: u64 = 3650 * 86_400_000;

/// Reads a duration: whole numbers, each with its unit, added up.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or(DurationError::Form)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        if number.is_empty() {
            return Err(DurationError::Form);
        }
        let millis: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(DurationError::Unit),
        };
        let number: u64 = number.parse().map_err(|_| DurationError::Range)?;
        let part = number.checked_mul(millis).ok_or(DurationError::Range)?;
        total = total.checked_add(part).ok_or(DurationError::Range)?;
        rest = tail;
    }
    match total {
        0 if text.is_empty() => Err(DurationError::Form),
        1..=LONGEST => Ok(Duration::from_millis(total)),
        _ => Err(DurationError::Range),
    }
}

/// Writes a duration as a person would: the two largest units that say something.
pub fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes, seconds) {
        (0, 0, 0, 0) => format!("{}ms", duration.as_millis()),
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, 0) => format!("{m}m"),
        (0, 0, m, s) => format!("{m}m{s}s"),
        (0, h, 0, _) => format!("{h}h"),
        (0, h, m, _) => format!("{h}h{m}m"),
        (d, 0, ..) => format!("{d}d"),
        (d, h, ..) => format!("{d}d{h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_understood() {
        let millis = |text| parse(text).map(|d| d.as_millis());
        assert_eq!(millis("250ms"), Ok(250));
        assert_eq!(millis("90s"), Ok(90_000));
        assert_eq!(millis("1h30m"), Ok(5_400_000));
        assert_eq!(millis("2d"), Ok(172_800_000));
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, error) in [
            ("", DurationError::Form),
            ("5", DurationError::Form),
            ("m", DurationError::Form),
            ("-5m", DurationError::Form),
            ("5 m", DurationError::Unit),
            ("5min", DurationError::Unit),
            ("0s", DurationError::Range),
            ("99999d", DurationError::Range),
            ("99999999999999999999s", DurationError::Range),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_is_short() {
        for text in ["250ms", "9s", "5m", "4m30s", "1h", "1h30m", "2d", "2d3h"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
        assert_eq!(show(Duration::from_secs(3_601)), "1h");
    }
}

//! `limits`: how much of the machine an instance may use.

use doze_units::Limits;

use super::{
    reader::Reader,
    toml_tree::{Item, Value},
};
use crate::diagnostic::{Code, Diagnostic, Span};

/// Reads the table.
pub(super) fn limits(item: &Item, problems: &mut Vec<Diagnostic>) -> Limits {
    let Value::Table(table) = &item.value else {
        problems.push(super::reader::wrong_type("limits", "a table", item));
        return Limits::default();
    };
    let mut reader = Reader::new("`limits`", table.clone());
    let number_or_text = |value: &Value| {
        let text = value.as_text().map(ToOwned::to_owned);
        text.or_else(|| Some(value.as_integer()?.to_string()))
    };
    let size = "a size, such as \"512MB\"";
    let share = "a share of one processor, such as \"50%\" or \"200%\"";
    let memory = reader.typed("memory", size, problems, number_or_text);
    let cpu = reader.typed("cpu", share, problems, number_or_text);
    let tasks = reader.typed("tasks", "a whole number", problems, Value::as_integer);
    reader.finish(problems);
    let mut wrong = |span: Span, message: String| {
        problems.push(Diagnostic::new(Code::Value, span, message));
    };
    let memory = memory.and_then(|at| {
        let bytes = bytes(&at.value).filter(|bytes| *bytes >= SMALLEST);
        if bytes.is_none() {
            let message = format!("{:?} is not {size} of at least 16MB", at.value);
            wrong(at.span, message);
        }
        bytes
    });
    let cpu = cpu.and_then(|at| {
        let percent = at
            .value
            .strip_suffix('%')
            .and_then(|text| text.parse().ok());
        let percent = percent.filter(|percent| (1..=100_000).contains(percent));
        if percent.is_none() {
            wrong(at.span, format!("{:?} is not {share}", at.value));
        }
        percent
    });
    let tasks = tasks.and_then(|at| {
        let tasks = u64::try_from(at.value).ok().filter(|tasks| *tasks >= 8);
        if tasks.is_none() {
            wrong(at.span, "`tasks` has to be at least 8".to_owned());
        }
        tasks
    });
    Limits { memory, cpu, tasks }
}

/// With less no engine gets anywhere.
const SMALLEST: u64 = 16 << 20;

/// A number with a unit. As engines and systemd have it, all units are powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_what_people_write() {
        for (text, size) in [
            ("512MB", Some(512 << 20)),
            ("512 mb", Some(512 << 20)),
            ("1g", Some(1 << 30)),
            ("2GiB", Some(2 << 30)),
            ("16777216", Some(16 << 20)),
            ("", None),
            ("MB", None),
            ("1.5G", None),
            ("99999999999999T", None),
            ("-1M", None),
        ] {
            assert_eq!(bytes(text), size, "{text:?}");
        }
    }
}

//! `format`: a text by a template, as printf(3) and its descendants do it.

use serde_json::Value;

use super::{Call, kind, show, text};

/// The greatest width and precision.
const WIDEST: usize = 1024;

pub(super) fn format(call: &Call<'_>) -> Result<Value, String> {
    let template = call.text(0)?;
    let values: Vec<&Value> = call.arguments.iter().skip(1).collect();
    filled(call, &template, &values).map(Value::from)
}

pub(super) fn formatlist(call: &Call<'_>) -> Result<Value, String> {
    let template = call.text(0)?;
    let values = call.arguments.get(1..).unwrap_or_default();
    let length = |value: &Value| value.as_array().map(Vec::len);
    let mut lengths = values.iter().filter_map(length);
    let lines = lengths.next().unwrap_or(1);
    if lengths.any(|other| other != lines) {
        return Err("the lists have to be of one length".to_owned());
    }
    let line = |at: usize| {
        let pick = |value: &'_ Value| match value.as_array() {
            Some(items) => items.get(at).cloned(),
            None => Some(value.clone()),
        };
        let picked: Vec<Value> = values.iter().filter_map(pick).collect();
        filled(call, &template, &picked.iter().collect::<Vec<_>>()).map(Value::from)
    };
    (0..lines).map(line).collect()
}

/// What stands between a `%` and its letter.
#[derive(Default)]
struct Verb {
    minus: bool,
    zero: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

fn filled(call: &Call<'_>, template: &str, values: &[&Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut values = values.iter();
    let mut letters = template.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        if letters.next_if_eq(&'%').is_some() {
            out.push('%');
            continue;
        }
        let verb = verb(&mut letters)?;
        let letter = letters.next().ok_or("the template ends behind a `%`")?;
        let value = values
            .next()
            .ok_or("the template wants more values than there are")?;
        let shown = verb.show(letter, value)?;
        call.spend(shown.len())?;
        out.push_str(&shown);
    }
    call.spend(out.len())?;
    match values.len() {
        0 => Ok(out),
        more => Err(format!(
            "the template has no place for {more} of the values"
        )),
    }
}

fn verb(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Verb, String> {
    let mut verb = Verb::default();
    while let Some(flag) = letters.next_if(|c| matches!(c, '-' | '0' | '+')) {
        match flag {
            '-' => verb.minus = true,
            '0' => verb.zero = true,
            _ => verb.plus = true,
        }
    }
    verb.width = digits(letters);
    if letters.next_if_eq(&'.').is_some() {
        verb.precision = Some(digits(letters));
    }
    if verb.width.max(verb.precision.unwrap_or(0)) > WIDEST {
        return Err(format!("a width is at most {WIDEST}"));
    }
    Ok(verb)
}

/// A number that a template has; one above the widest stands for all of those.
fn digits(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> usize {
    let mut number = 0;
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        let digit = digit
            .to_digit(10)
            .and_then(|digit| usize::try_from(digit).ok());
        number = usize::min(number * 10 + digit.unwrap_or(0), WIDEST + 1);
    }
    number
}

impl Verb {
    fn show(&self, letter: char, value: &Value) -> Result<String, String> {
        let whole = || {
            let number = value.as_i64();
            number.ok_or_else(|| format!("`%{letter}` wants a whole number, not {}", kind(value)))
        };
        let shown = match letter {
            's' => {
                let text = text(value).map_err(|kind| format!("`%s` wants a text, not {kind}"))?;
                match self.precision {
                    Some(most) => text.chars().take(most).collect(),
                    None => text.into_owned(),
                }
            }
            'v' => text(value).map_or_else(|_| value.to_string(), Into::into),
            'q' => {
                let text = text(value).map_err(|kind| format!("`%q` wants a text, not {kind}"))?;
                Value::from(text).to_string()
            }
            't' => {
                let truth = value.as_bool();
                let truth =
                    truth.ok_or_else(|| format!("`%t` wants a boolean, not {}", kind(value)))?;
                truth.to_string()
            }
            'd' => whole()?.to_string(),
            'x' => format!("{:x}", whole()?),
            'X' => format!("{:X}", whole()?),
            'o' => format!("{:o}", whole()?),
            'b' => format!("{:b}", whole()?),
            'f' => {
                let number = value.as_f64();
                let number =
                    number.ok_or_else(|| format!("`%f` wants a number, not {}", kind(value)))?;
                format!("{number:.*}", self.precision.unwrap_or(6))
            }
            'g' => {
                let number = value.as_number();
                let wrong = || format!("`%g` wants a number, not {}", kind(value));
                show(number.ok_or_else(wrong)?)
            }
            other => return Err(format!("there is no `%{other}`")),
        };
        let numeric = !matches!(letter, 's' | 'v' | 'q' | 't');
        let signed = if self.plus && numeric && !shown.starts_with('-') {
            format!("+{shown}")
        } else {
            shown
        };
        Ok(self.padded(&signed, numeric))
    }

    fn padded(&self, shown: &str, numeric: bool) -> String {
        let missing = self.width.saturating_sub(shown.chars().count());
        if self.minus {
            return format!("{shown}{}", " ".repeat(missing));
        }
        if self.zero && numeric {
            let digits = shown.trim_start_matches(['-', '+']);
            let sign = shown.strip_suffix(digits).unwrap_or_default();
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        format!("{}{shown}", " ".repeat(missing))
    }
}

//! Functions of numbers.

use hcl_edit::expr::BinaryOperator;
use serde_json::{Number, Value};

use super::Call;

const OUT_OF_RANGE: &str = "the result is out of range";

pub(super) fn abs(call: &Call<'_>) -> Result<Value, String> {
    let number = call.number(0)?;
    match number.as_i64() {
        Some(whole) => whole
            .checked_abs()
            .map(Value::from)
            .ok_or(OUT_OF_RANGE.to_owned()),
        None => float(worth(number).abs()),
    }
}

pub(super) fn ceil(call: &Call<'_>) -> Result<Value, String> {
    whole(worth(call.number(0)?).ceil())
}

pub(super) fn floor(call: &Call<'_>) -> Result<Value, String> {
    whole(worth(call.number(0)?).floor())
}

pub(super) fn max(call: &Call<'_>) -> Result<Value, String> {
    best(call, |a, b| a > b)
}

pub(super) fn min(call: &Call<'_>) -> Result<Value, String> {
    best(call, |a, b| a < b)
}

fn best(call: &Call<'_>, better: impl Fn(f64, f64) -> bool) -> Result<Value, String> {
    let mut best = call.number(0)?;
    for at in 1..call.arguments.len() {
        let next = call.number(at)?;
        if better(worth(next), worth(best)) {
            best = next;
        }
    }
    Ok(Value::Number(best.clone()))
}

pub(super) fn parseint(call: &Call<'_>) -> Result<Value, String> {
    let base = u32::try_from(call.integer(1)?).ok();
    let base = base.filter(|base| (2..=36).contains(base));
    let base = base.ok_or("the base is a number from 2 to 36")?;
    let number = i64::from_str_radix(&call.text(0)?, base);
    number
        .map(Value::from)
        .map_err(|_| format!("the text is no whole number to the base {base}"))
}

pub(super) fn arithmetic(
    a: &Number,
    operator: BinaryOperator,
    b: &Number,
) -> Result<Value, String> {
    use BinaryOperator::{
        And, Div, Eq, Greater, GreaterEq, Less, LessEq, Minus, Mod, Mul, NotEq, Or, Plus,
    };
    let (x, y) = (worth(a), worth(b));
    let both = a.as_i64().zip(b.as_i64());
    let exact = |exact: Option<i64>, otherwise: f64| match (both, exact) {
        (Some(_), Some(number)) => Ok(Value::from(number)),
        (Some(_), None) => Err(OUT_OF_RANGE.to_owned()),
        (None, _) => float(otherwise),
    };
    match operator {
        Plus => exact(both.and_then(|(a, b)| a.checked_add(b)), x + y),
        Minus => exact(both.and_then(|(a, b)| a.checked_sub(b)), x - y),
        Mul => exact(both.and_then(|(a, b)| a.checked_mul(b)), x * y),
        Div | Mod if y == 0.0 => Err("nothing can be divided by 0".to_owned()),
        Div => match both.filter(|(a, b)| a.checked_rem(*b) == Some(0)) {
            Some((a, b)) => a
                .checked_div(b)
                .map(Value::from)
                .ok_or(OUT_OF_RANGE.to_owned()),
            None => float(x / y),
        },
        Mod => exact(both.and_then(|(a, b)| a.checked_rem(b)), x % y),
        Less => Ok(both.map_or(x < y, |(a, b)| a < b).into()),
        LessEq => Ok(both.map_or(x <= y, |(a, b)| a <= b).into()),
        Greater => Ok(both.map_or(x > y, |(a, b)| a > b).into()),
        GreaterEq => Ok(both.map_or(x >= y, |(a, b)| a >= b).into()),
        Eq | NotEq | And | Or => Err(format!("`{}` does not compute", operator.as_str())),
    }
}

fn worth(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}

fn float(number: f64) -> Result<Value, String> {
    let number = Number::from_f64(number).ok_or(OUT_OF_RANGE)?;
    Ok(Value::Number(number))
}

#[expect(clippy::cast_possible_truncation, reason = "the range is looked at")]
fn whole(number: f64) -> Result<Value, String> {
    // 2^63 is the first number that i64 does not have.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if (-END..END).contains(&number) {
        Ok(Value::from(number as i64))
    } else {
        Err(OUT_OF_RANGE.to_owned())
    }
}

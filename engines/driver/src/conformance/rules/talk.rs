//! How a driver behaves as a program. It must not know what the answers mean.

use camino::Utf8Path;
use doze_contract::protocol::{Description, PROTOCOL, Response};

use super::session;
use crate::conformance::report::{Flaw, Rules, demand, same};

/// Lines that are no request.
const GARBAGE: [&[u8]; 5] = [
    b"no json",
    b"",
    b"{}",
    b"\xff\xfe",
    b"{\"protocol\":1,\"call\":\"dance\"}",
];

/// The first question, without whose answer there is no other.
pub(super) fn describe(rules: &mut Rules<'_>, program: &Utf8Path) -> Result<Description, Flaw> {
    rules.rule("describe: a description in this protocol", || {
        Ok(session(program)?.describe()?)
    })
}

pub(super) fn check(rules: &mut Rules<'_>, program: &Utf8Path, about: &Description) {
    rules.last(
        "describe: the same answer each time, in another process as well",
        || {
            let mut session = session(program)?;
            same(&session.describe()?, about)?;
            same(&session.describe()?, about)
        },
    );
    rules.last(
        "a line that is no request: an error, and the next one is read",
        || {
            let mut session = session(program)?;
            for garbage in GARBAGE {
                is_error(&session.raw(garbage)?, || {
                    format!("`{}`", garbage.escape_ascii())
                })?;
            }
            same(&session.describe()?, about)
        },
    );
    rules.last(
        "another protocol: an error, and the next one is read",
        || {
            let mut session = session(program)?;
            for call in ["\"describe\"", "{\"later\":{}}"] {
                let foreign = format!(r#"{{"protocol":{},"call":{call}}}"#, PROTOCOL + 1);
                is_error(&session.raw(foreign.as_bytes())?, || foreign)?;
            }
            same(&session.describe()?, about)
        },
    );
    rules.last("a field that it does not know: ignored", || {
        let mut session = session(program)?;
        let version = about.majors.last();
        let version = version.map(|version| format!(r#""version":"{version}","#));
        let version = version.unwrap_or_default();
        for line in [
            format!(r#"{{"protocol":{PROTOCOL},"later":[1],"call":"describe"}}"#),
            format!(
                r#"{{"call":{{"check":{{"later":{{}},"instance":"app",{version}"block":{{}}}}}},"protocol":{PROTOCOL}}}"#
            ),
        ] {
            let came = session.raw(line.as_bytes())?;
            demand(matches!(came, Response::Answer(_)), || {
                format!("expected an answer to {line}\ncame     {came:?}")
            })?;
        }
        Ok(())
    });
    rules.last(
        "the end of input: status 0, and nothing was said unasked",
        || {
            let mut session = session(program)?;
            session.describe()?;
            let status = session.end().map_err(Flaw::Broken)?;
            demand(status.success(), || {
                format!("expected status 0\ncame     {status}")
            })
        },
    );
}

fn is_error(came: &Response, asked: impl FnOnce() -> String) -> Result<(), Flaw> {
    demand(matches!(came, Response::Error(_)), || {
        format!("expected an error for {}\ncame     {came:?}", asked())
    })
}

//! The stdio loop: one request a line in, one response a line out, strictly in turn. It must not
//! know what the calls mean.

use std::{
    env,
    io::{self, BufRead, Write},
    process::ExitCode,
};

use doze_contract::{
    error::chain,
    protocol::{Answer, Call, PROTOCOL, REFUSE, Request, Response},
};
use serde::Deserialize;

use crate::{Driver, refuse};

/// Runs `driver` as the whole of a program: answers standard input on standard output until the
/// end of input, or refuses the client on standard input if the command line says so. Nothing
/// else may be written to standard output.
pub fn run(driver: &impl Driver) -> ExitCode {
    let outcome = if env::args_os().nth(1).is_some_and(|verb| verb == REFUSE) {
        refuse::refuse(driver).map_err(|error| chain(&error))
    } else {
        serve(driver, io::stdin().lock(), io::stdout().lock())
            .map_err(|error| format!("cannot talk to the core: {error}"))
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let told = writeln!(io::stderr(), "{message}");
            // With standard error gone as well, only the exit status is left to tell it.
            drop(told);
            ExitCode::FAILURE
        }
    }
}

/// Answers each line of `input` by one line on `output`, until the end of input.
///
/// A line that is no request is answered with an error, for the next one may be one.
pub fn serve(
    driver: &impl Driver,
    mut input: impl BufRead,
    mut output: impl Write,
) -> io::Result<()> {
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let response = match request(&line).and_then(|call| answer(driver, call)) {
            Ok(answer) => Response::Answer(answer),
            Err(message) => Response::Error(message),
        };
        let mut reply = serde_json::to_vec(&response)?;
        reply.push(b'\n');
        output.write_all(&reply)?;
        output.flush()?;
        line.clear();
    }
    Ok(())
}

/// The part of a request that every protocol has.
#[derive(Deserialize)]
struct Envelope {
    protocol: u32,
}

fn request(line: &[u8]) -> Result<Call, String> {
    let garbage = |error| format!("this line is no request: {error}");
    // The number comes first: a request of another protocol need not look like one of ours.
    let Envelope { protocol } = serde_json::from_slice(line).map_err(garbage)?;
    if protocol != PROTOCOL {
        return Err(format!(
            "the core speaks protocol {protocol} and this driver {PROTOCOL}; \
             doze and its drivers have to be of one release"
        ));
    }
    serde_json::from_slice::<Request>(line)
        .map(|request| request.call)
        .map_err(garbage)
}

fn answer<D: Driver>(driver: &D, call: Call) -> Result<Answer, String> {
    match call {
        Call::Describe => D::ABOUT
            .describe()
            .map(|description| Answer::Describe(Box::new(description)))
            .map_err(|error| chain(&error)),
        Call::Check(call) => Ok(Answer::Check(driver.check(&call))),
        Call::Plan(call) => driver
            .plan(&call)
            .map(|body| Answer::Plan(Box::new(body)))
            .map_err(|error| chain(&error)),
        Call::Provision(call) => driver
            .provision(&call)
            .map(|()| Answer::Provision)
            .map_err(|error| chain(&error)),
        Call::Replenish(call) => driver
            .replenish(&call)
            .map(|()| Answer::Replenish)
            .map_err(|error| chain(&error)),
        Call::Converge(call) => driver
            .converge(&call)
            .map(Answer::Converge)
            .map_err(|error| chain(&error)),
    }
}

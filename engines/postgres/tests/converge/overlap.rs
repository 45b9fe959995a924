//! Those who change the same at the same time.

use std::{
    error::Error,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    thread,
    time::Duration,
};

use doze_contract::Plan;
use doze_driver::conformance::until;
use serde_json::json;

use crate::booted::{Booted, Outcome, engines, psql};

#[test]
fn two_converges_that_overlap_make_everything_once() -> Outcome {
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &crate::full())?;
        let each = thread::scope(|scope| {
            let converge = || {
                booted
                    .converge(&crate::full())
                    .map_err(|error| error.to_string())
            };
            let running: Vec<_> = (0..4).map(|_| scope.spawn(converge)).collect();
            let done = |it: thread::ScopedJoinHandle<'_, _>| it.join().map_err(|_| "a panic");
            running.into_iter().map(done).collect::<Result<Vec<_>, _>>()
        })?;
        let each = each.into_iter().collect::<Result<Vec<_>, _>>()?;
        let busy: Vec<_> = each.iter().filter(|it| !it.is_empty()).collect();
        assert_eq!(busy.len(), 1, "{each:#?}");
        assert_eq!(booted.converge(&crate::full())?, [""; 0]);
    }
    Ok(())
}

/// `tuple concurrently updated` is what the server says to the second one.
#[test]
fn a_tuple_that_is_concurrently_updated_is_looked_at_again() -> Outcome {
    let wanted = json!({ "role": { "web": { "connection_limit": 3 } } });
    for toolchain in engines() {
        let booted = Booted::new(&toolchain, &wanted)?;
        booted.converge(&wanted)?;
        let mut other = Client::new(booted.plan(), "app")?;
        other.say(
            "ALTER ROLE web CONNECTION LIMIT 5; BEGIN; ALTER ROLE web SUPERUSER; SELECT 'open';",
        )?;
        other.hear("open")?;
        let done = thread::scope(|scope| {
            let converge = || {
                booted
                    .converge(&wanted)
                    .map_err(|error| format!("{error}: {:?}", error.source()))
            };
            let running = scope.spawn(converge);
            let waits = "SELECT count(*) FROM pg_stat_activity
                WHERE application_name = 'doze' AND wait_event_type = 'Lock'";
            until(Duration::from_mins(1), || match booted.sql(waits) {
                Ok(count) if count == "1" => Ok(()),
                other => Err(format!("{other:?}")),
            })?;
            other.say("COMMIT;").map_err(|error| error.to_string())?;
            running.join().map_err(|_| "a panic".to_owned())?
        })?;
        assert_eq!(done, [r#"ALTER ROLE "web" NOSUPERUSER CONNECTION LIMIT 3"#]);
        assert_eq!(booted.converge(&wanted)?, [""; 0]);
    }
    Ok(())
}

/// psql(1) that stays, killed when dropped.
pub(crate) struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Client {
    /// As the superuser, once it is connected.
    pub(crate) fn new(plan: &Plan, database: &str) -> Result<Self, Box<dyn Error>> {
        let mut child = psql(plan, &[])
            .env("PGUSER", "postgres")
            .env("PGDATABASE", database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut client = Self {
            input: child.stdin.take().ok_or("no pipe")?,
            output: BufReader::new(child.stdout.take().ok_or("no pipe")?),
            child,
        };
        client.say("SELECT 'here';")?;
        client.hear("here")?;
        Ok(client)
    }

    fn say(&mut self, sql: &str) -> Outcome {
        Ok(writeln!(self.input, "{sql}")?)
    }

    /// Reads the line that ends what it was asked for.
    fn hear(&mut self, last: &str) -> Outcome {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        assert_eq!(line.trim_end(), last);
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

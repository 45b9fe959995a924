//! Whatever is killed, whenever: the endpoint answers again, one engine runs on the data
//! directory, and what was acknowledged is there. And whatever of doze's own files is damaged:
//! it works, or says which file and how to mend it.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a surprise fails the test, and says what it was; the table is the result"
)]

mod cells;
mod damage;
mod gates;
mod stage;

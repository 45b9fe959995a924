//! `doze schema`: the JSON Schema of `doze.toml`, for editors.

use super::Context;
use crate::{
    failure::Failure,
    output::print,
    schema,
    supply::{Reach, Supply},
};

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let mut drivers = context.drivers()?;
    // A file that is not right yet is when a schema is wanted most.
    if let Ok(file) = context.file() {
        let mut supply = Supply::open(&file, &context.dirs, Reach::Pinned)?;
        let supplied = supply.supply(&drivers)?;
        drivers.add(&supplied.drivers);
    }
    print(format_args!("{}", schema::text(&drivers))).map_err(Failure::io("print"))
}

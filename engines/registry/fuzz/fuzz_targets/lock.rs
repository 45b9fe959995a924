//! `doze.lock`, as anybody may have written it into a repository.
#![no_main]

use doze_registry::Pins;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(pins) = Pins::parse(text) else {
        return;
    };
    let written = pins.to_text();
    assert_eq!(Pins::parse(&written).as_ref(), Ok(&pins), "{written}");
});

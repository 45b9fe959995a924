//! Any text as `doze.toml`, all the way to its units and plans.
#![no_main]

use doze_fuzz::{World, be_another_program};
use libfuzzer_sys::fuzz_target;

thread_local!(static WORLD: World = World::new());

fuzz_target!(init: be_another_program(), |text: &str| {
    WORLD.with(|world| world.generate(text));
});

//! Any text as a `doze.hcl`, and what it becomes as a project.
#![no_main]

use doze::import::{ImportError, hcl};
use doze_fuzz::{World, be_another_program};
use libfuzzer_sys::fuzz_target;

thread_local!(static WORLD: World = World::new());

fuzz_target!(init: be_another_program(), |text: &str| {
    WORLD.with(|world| match hcl::import(text, "it", world) {
        Ok(imported) => world.imported(&imported),
        Err(ImportError::Syntax { .. }) => {}
        Err(ImportError::Driver(error)) => panic!("{}", doze_contract::error::chain(&error)),
    });
});

//! Leaves out the tables by which a panic would find its way up the stack: it ends the process at
//! once, and the activator is read from disk at every wake. They are a tenth of it. The options are
//! those of linkers for ELF, so elsewhere the tables stay.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=no-unwinding.ld");
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os != "linux") {
        return;
    }
    println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    if let Ok(folder) = env::var("CARGO_MANIFEST_DIR") {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{folder}/no-unwinding.ld");
    }
}

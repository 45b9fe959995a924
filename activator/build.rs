//! Leaves out the table by which a panic would find its way up the stack: it ends the process at
//! once, and the activator is read from disk at every wake.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
}

//! Benchmark `unpack`: from the archive of a toolchain to its files, verified, in the store and on
//! the disk.
//!
//! Beside it stands what people do by hand: `tar --zstd -x` of the same archive, without any check,
//! and once more with the sync(1) without which a power loss takes the files. All are processes of
//! their own that begin from nothing, in turns.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints its result, and a surprise ends it"
)]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/samples.rs"]
#[expect(dead_code, reason = "no sums are needed here")]
mod samples;

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use doze_contract::{EngineName, Version};
use doze_registry::progress::Silent;
use doze_registry::{Artefact, Digest, Kind, Mirror, Namespace, Package, Store, Triple};
use doze_tests::project::succeed;
use doze_tests::{engines, needed};

use crate::samples::Samples;

const ROUNDS: usize = 15;

/// How much longer than tar(1) it may take.
const AIM: f64 = 1.1;

/// The most memory in kB that it may use.
const MEMORY: u64 = 32_000;

fn main() {
    let words: Vec<String> = env::args().collect();
    if let [_, verb, registry, store, size, sha256] = words.as_slice()
        && verb == "fetch"
    {
        let size = size.parse().expect("a number");
        let sha256 = sha256.parse().expect("a digest");
        return fetch(registry, store, &Artefact { size, sha256 });
    }
    let Some(postgres) = needed("a Postgres", engines::postgres()) else {
        return;
    };
    let world = tempfile::tempdir().expect("a directory");
    let world = world.path();
    let registry = world.join("registry");
    let archive = registry.join("doze").join(package().path(&Triple::host()));
    pack(&postgres.bindir, &world.join("tree"), &archive);

    println!("unpack: {ROUNDS} rounds in turns; {}", machine::line());
    let bytes = fs::read(&archive).expect("packed");
    let artefact = Artefact {
        size: bytes.len() as u64,
        sha256: Digest::of(&bytes),
    };
    println!("an archive of {} kB", artefact.size / 1000);
    let [mut ours, mut plain, mut safe] = [(); 3].map(|()| Samples::default());
    let mut memory = 0;
    for round in 0..=ROUNDS {
        if round == 1 {
            // The first was for warming up.
            [ours, plain, safe] = [(); 3].map(|()| Samples::default());
        }
        let out = world.join("out");
        let tar = || {
            fs::create_dir(&out).expect("a directory");
            let mut tar = Command::new("tar");
            tar.arg("--zstd").arg("-xf").arg(&archive);
            let begun = Instant::now();
            succeed(tar.arg("-C").arg(&out));
            begun
        };
        plain.add(tar().elapsed());
        fs::remove_dir_all(&out).expect("ours");
        let begun = tar();
        succeed(Command::new("sync").arg("-f").arg(&out));
        safe.add(begun.elapsed());
        fs::remove_dir_all(&out).expect("ours");
        let (took, peak) = ask(&registry, &artefact, &out);
        ours.add(took);
        memory = memory.max(peak);
        fs::remove_dir_all(&out).expect("ours");
    }

    println!("\n  {:<36}{:>8}{:>8}", "ms", "median", "p95");
    line("doze", &ours);
    line("tar --zstd -x", &plain);
    line("tar --zstd -x && sync -f", &safe);
    let ratio = ours.median() / plain.median();
    let met = |met: bool| if met { "met" } else { "not met" };
    println!(
        "  doze / tar: {ratio:.2}; aim at most {AIM}: {}",
        met(ratio <= AIM)
    );
    println!("  doze / tar && sync: {:.2}", ours.median() / safe.median());
    println!(
        "  peak memory: {memory} kB; aim less than {MEMORY} kB: {}",
        met(memory < MEMORY)
    );
}

fn package() -> Package {
    Package {
        kind: Kind::Engine,
        name: EngineName::new("postgres").expect("a name"),
        version: Version::new("15").expect("a version"),
    }
}

/// The programs of a Postgres, what they are linked to and what they read.
fn pack(bindir: &Path, tree: &Path, archive: &Path) {
    let top = bindir.parent().expect("bin is in a directory");
    fs::create_dir_all(tree).expect("a directory");
    succeed(Command::new("cp").arg("-rL").arg(top).arg(tree));
    let linked = Command::new("ldd").arg(bindir.join("postgres")).output();
    let linked = String::from_utf8(linked.expect("ldd runs").stdout).expect("text");
    for library in linked
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        succeed(Command::new("cp").arg("-L").arg(library).arg(tree));
    }
    fs::create_dir_all(archive.parent().expect("a folder")).expect("a directory");
    let mut tar = Command::new("tar");
    tar.args(["-I", "zstd -12", "--hard-dereference", "-cf"])
        .arg(archive);
    succeed(tar.arg("-C").arg(tree).arg("."));
}

/// Runs this program again, for a fetch from nothing; how long it took, and its memory.
fn ask(registry: &Path, artefact: &Artefact, store: &Path) -> (Duration, u64) {
    let mut command = Command::new(env::current_exe().expect("a path"));
    command.arg("fetch").arg(registry).arg(store);
    command.args([artefact.size.to_string(), artefact.sha256.to_string()]);
    let begun = Instant::now();
    let peak = succeed(&mut command);
    (begun.elapsed(), peak.trim().parse().expect("a number"))
}

/// Fetches, and prints the most memory that this took, in kB (`VmHWM` of proc(5)).
fn fetch(registry: &str, store: &str, artefact: &Artefact) {
    let mirror = Mirror::new(&format!("file://{registry}")).expect("an address");
    let namespace = Namespace::new("doze").expect("a namespace");
    Store::new(store.into())
        .fetch(
            &mirror,
            &namespace,
            &package(),
            &Triple::host(),
            artefact,
            &Silent,
        )
        .expect("a sound archive");
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|text| text.split_whitespace().next());
    println!("{}", peak.expect("a peak"));
}

fn line(what: &str, samples: &Samples) {
    let (median, p95) = (samples.median(), samples.p95());
    println!("  {what:<36}{median:>8.1}{p95:>8.1}");
}

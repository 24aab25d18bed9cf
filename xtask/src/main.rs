//! One door for all checks: `cargo xtask check`, `cargo xtask ci`.

mod api;
mod cargo;
mod deny;
mod lints;
mod lookups;
mod no_c;
mod package;
mod runs;

use std::env;
use std::process::ExitCode;
use std::time::Instant;

type Part = (&'static str, &'static str, fn() -> Result<(), String>);

/// What every change must pass; needs Rust, a C compiler, and for the lints of `fuzz/` one for C++.
const CHECKS: &[Part] = &[
    ("fmt", "formatting of every package", lints::fmt),
    ("clippy", "lints as errors, all features", lints::clippy),
    ("doc", "rustdoc without warnings", lints::doc),
    (
        "api",
        "the public API is what api/ lists, and what the last tag had is there",
        api::api,
    ),
    (
        "features",
        "every crate with no, each and all features",
        lints::features,
    ),
    (
        "msrv",
        "declared Rust version: lints, and what the dependencies declare",
        lints::msrv,
    ),
    ("test", "the README's test command", runs::test),
    (
        "no-c",
        "the layer stream without a C compiler, and no C library in it",
        no_c::no_c,
    ),
    (
        "package",
        "every crate packs and builds from its package",
        package::package,
    ),
];

/// What CI adds.
const CI: &[Part] = &[
    (
        "deny",
        "licences, bans and sources of all dependencies (installs cargo-deny)",
        deny::deny,
    ),
    ("quickstart", "the README's run command", runs::quickstart),
    (
        "lookups",
        "instructions of lookups against the recorded ones (installs valgrind)",
        lookups::lookups,
    ),
    ("fuzz", "every fuzz target for a short while", runs::fuzz),
    (
        "interop",
        "the real tools, in both directions (root, installs them)",
        runs::interop,
    ),
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match *args.as_slice() {
        ["check"] => run(CHECKS.iter()),
        ["api", "--bless"] => bless(api::bless),
        ["lookups", "--bless"] => bless(lookups::bless),
        ["ci"] => run(CHECKS.iter().chain(CI)),
        ["check", ref parts @ ..] => {
            let all = || CHECKS.iter().chain(CI);
            if let Some(unknown) = parts.iter().find(|p| all().all(|(name, ..)| name != *p)) {
                eprintln!("no part is called `{unknown}`");
                return usage();
            }
            run(all().filter(|(name, ..)| parts.contains(name)))
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("cargo xtask check [PART...]   all parts of the first group, or the named ones");
    eprintln!("cargo xtask ci                both groups");
    eprintln!("cargo xtask api --bless       writes what the part `api` compares with");
    eprintln!("cargo xtask lookups --bless   the same for `lookups`\n");
    for (name, what, _) in CHECKS {
        eprintln!("  {name:<12}{what}");
    }
    eprintln!();
    for (name, what, _) in CI {
        eprintln!("  {name:<12}{what}");
    }
    ExitCode::from(2)
}

fn bless(bless: fn() -> Result<(), String>) -> ExitCode {
    match bless() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the parts in order, stops at the first failure, and prints what each took.
fn run<'a>(parts: impl Iterator<Item = &'a Part>) -> ExitCode {
    let mut times = Vec::new();
    let mut result = ExitCode::SUCCESS;
    for (name, what, part) in parts {
        eprintln!("== {name}: {what}");
        let start = Instant::now();
        let outcome = part();
        times.push((*name, start.elapsed().as_secs_f64(), outcome.is_ok()));
        if let Err(why) = outcome {
            eprintln!("== {name} failed: {why}");
            result = ExitCode::FAILURE;
            break;
        }
    }
    eprintln!("== time by part");
    for (name, seconds, passed) in times {
        eprintln!(
            "{seconds:9.1} s  {name}{}",
            if passed { "" } else { " (failed)" }
        );
    }
    result
}

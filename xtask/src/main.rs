//! One door for all checks: `cargo xtask check`, `cargo xtask ci`.

use std::env;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use serde_json::Value;

type Part = (&'static str, &'static str, fn() -> Result<(), String>);

/// What every change must pass; needs Rust, a C compiler, and for the lints of `fuzz/` one for C++.
const CHECKS: &[Part] = &[
    ("fmt", "formatting of every package", fmt),
    ("clippy", "lints as errors, all features", clippy),
    ("doc", "rustdoc without warnings", doc),
    (
        "features",
        "every crate with no, each and all features",
        features,
    ),
    (
        "msrv",
        "declared Rust version: lints, and what the dependencies declare",
        msrv,
    ),
    ("test", "the README's test command", test),
    ("mmap", "tests of what reads mapped files", mmap),
    (
        "package",
        "every crate packs and builds from its package",
        package,
    ),
];

/// What CI adds.
const CI: &[Part] = &[
    ("quickstart", "the README's run command", quickstart),
    ("fuzz", "every fuzz target for a short while", fuzz),
    (
        "interop",
        "the real tools, in both directions (root, installs them)",
        interop,
    ),
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match *args.as_slice() {
        ["check"] => run(CHECKS.iter()),
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
    eprintln!("cargo xtask ci                both groups\n");
    for (name, what, _) in CHECKS {
        eprintln!("  {name:<12}{what}");
    }
    eprintln!();
    for (name, what, _) in CI {
        eprintln!("  {name:<12}{what}");
    }
    ExitCode::from(2)
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

fn cargo(args: &[&str]) -> Result<(), String> {
    command(Command::new(cargo_path()).args(args))
}

fn cargo_path() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

fn command(command: &mut Command) -> Result<(), String> {
    command.current_dir(root());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

fn root() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/..")
}

/// Packages that are no members of the workspace.
const OWN_PACKAGES: &[&str] = &[
    "benches/Cargo.toml",
    "fuzz/Cargo.toml",
    "interop/Cargo.toml",
];

fn fmt() -> Result<(), String> {
    cargo(&["fmt", "--all", "--check"])?;
    OWN_PACKAGES
        .iter()
        .try_for_each(|manifest| cargo(&["fmt", "--check", "--manifest-path", manifest]))
}

fn clippy() -> Result<(), String> {
    let lints = ["--all-targets", "--", "-D", "warnings"];
    cargo(&[&["clippy", "--workspace", "--all-features"], &lints[..]].concat())?;
    OWN_PACKAGES.iter().try_for_each(|manifest| {
        cargo(&[&["clippy", "--manifest-path", manifest], &lints[..]].concat())
    })
}

fn doc() -> Result<(), String> {
    command(
        Command::new(cargo_path())
            .args(["doc", "--workspace", "--no-deps", "--all-features"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn features() -> Result<(), String> {
    for (package, features) in packages()? {
        let build = |extra: &[&str]| {
            eprintln!("-- {package} {}", extra.join(" "));
            cargo(
                &[
                    &[
                        "check",
                        "--quiet",
                        "--package",
                        &package,
                        "--no-default-features",
                    ],
                    extra,
                ]
                .concat(),
            )
        };
        build(&[])?;
        for feature in &features {
            build(&["--features", feature])?;
        }
        build(&["--all-features"])?;
    }
    Ok(())
}

/// Published packages of the workspace with their features.
fn packages() -> Result<Vec<(String, Vec<String>)>, String> {
    let metadata = metadata(&["--no-deps"])?;
    let packages = array(&metadata, "packages");
    let published = packages.iter().filter(|p| p["publish"].is_null());
    Ok(published
        .map(|p| {
            let features = p["features"].as_object();
            let features = features.into_iter().flat_map(|f| f.keys().cloned());
            (text(p, "name").to_owned(), features.collect())
        })
        .collect())
}

/// Older toolchains are seldom at hand, so this checks what any toolchain can: our own code by the
/// `incompatible_msrv` lint, and the Rust version that each dependency declares.
fn msrv() -> Result<(), String> {
    cargo(&[
        "clippy",
        "--workspace",
        "--all-features",
        "--",
        "-D",
        "clippy::incompatible_msrv",
    ])?;
    let metadata = metadata(&[])?;
    let packages = array(&metadata, "packages");
    let ours = packages
        .iter()
        .find(|p| p["name"] == "lazyoci")
        .map(|p| version(text(p, "rust_version")))
        .ok_or("no package `lazyoci`")?;
    let newer: Vec<String> = packages
        .iter()
        .filter(|p| version(text(p, "rust_version")) > ours)
        .map(|p| format!("{} needs Rust {}", text(p, "name"), text(p, "rust_version")))
        .collect();
    if newer.is_empty() {
        Ok(())
    } else {
        Err(newer.join(", "))
    }
}

fn metadata(args: &[&str]) -> Result<Value, String> {
    let output = Command::new(cargo_path())
        .args([
            "metadata",
            "--locked",
            "--format-version",
            "1",
            "--all-features",
        ])
        .args(args)
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cargo metadata: {e}"))?;
    serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata: {e}"))
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// `1.88` and `1.88.0` compare equal; a missing version is the oldest.
fn version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

fn test() -> Result<(), String> {
    cargo(&["test", "--workspace"])
}

fn mmap() -> Result<(), String> {
    let packages = ["lazyoci-blob-io", "lazyoci-image-read"];
    cargo(&[
        "test",
        "-p",
        packages[0],
        "-p",
        packages[1],
        "--features",
        "mmap",
    ])
}

fn package() -> Result<(), String> {
    cargo(&[
        "package",
        "--workspace",
        "--exclude",
        "xtask",
        "--allow-dirty",
    ])
}

fn quickstart() -> Result<(), String> {
    cargo(&["run", "--release", "--example", "quickstart"])
}

/// With a seed of its own: what fails is to be what changed.
fn fuzz() -> Result<(), String> {
    command(Command::new("fuzz/run.sh").arg("10").env("SEED", "1"))
}

fn interop() -> Result<(), String> {
    command(&mut Command::new("interop/run.sh"))
}

//! Instructions of the lookups, compared with the recorded ones.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::cargo::{cargo_path, command, root, text};

/// A lookup may take this much more than it did. Two counts of one program differ by a tenth of it.
const MARGIN_PERCENT: u64 = 2;

type Counts = BTreeMap<String, u64>;

/// No lookup takes more instructions than are recorded.
pub(crate) fn lookups() -> Result<(), String> {
    let recorded = fs::read_to_string(file()).map_err(|e| format!("{}: {e}", file().display()))?;
    let recorded: Value =
        serde_json::from_str(&recorded).map_err(|e| format!("{}: {e}", file().display()))?;
    let (compiler, host) = compiler()?;
    if text(&recorded, "host") != host {
        let recorded = text(&recorded, "host");
        return Err(format!("recorded on {recorded}, and this is {host}"));
    }
    let (table, excess) = compare(&counts(&recorded["instructions"])?, &count()?);
    eprint!("{table}");
    if excess.is_empty() {
        return Ok(());
    }
    let mut why = format!("more than {MARGIN_PERCENT} % above the record: {excess}");
    if text(&recorded, "compiler") != compiler {
        let _ = write!(
            why,
            "; it was made with {}, and this is {compiler}",
            text(&recorded, "compiler")
        );
    }
    Err(why + "; if it is meant, `cargo xtask lookups --bless`")
}

/// Records what lookups take.
pub(crate) fn bless() -> Result<(), String> {
    let (compiler, host) = compiler()?;
    let record = json!({ "compiler": compiler, "host": host, "instructions": count()? });
    fs::write(file(), format!("{record:#}\n")).map_err(|e| format!("{}: {e}", file().display()))
}

fn file() -> PathBuf {
    Path::new(root()).join("benches/record/lookups.json")
}

/// What is recorded and counted, as lines, and the names of the lookups that take too much. A lookup that only one of
/// the two knows is one of them.
fn compare(recorded: &Counts, counted: &Counts) -> (String, String) {
    let (mut table, mut excess) = (String::new(), Vec::new());
    let mut names: Vec<&String> = recorded.keys().chain(counted.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (old, new) = (recorded.get(name), counted.get(name));
        let (verdict, fails) = match (old, new) {
            (Some(old), Some(new)) if new * 100 > old * (100 + MARGIN_PERCENT) => ("more", true),
            (Some(old), Some(new)) if new * (100 + MARGIN_PERCENT) < old * 100 => ("fewer", false),
            (Some(_), Some(_)) => ("", false),
            (None, _) => ("not recorded", true),
            (_, None) => ("not counted", true),
        };
        let show = |count: Option<&u64>| count.map_or("-".to_owned(), u64::to_string);
        let line = format!("{:>8} {:>8}  {name}  {verdict}", show(old), show(new));
        let _ = writeln!(table, "{}", line.trim_end());
        if fails {
            excess.push(name.as_str());
        }
    }
    (table, excess.join("; "))
}

fn count() -> Result<Counts, String> {
    install_valgrind()?;
    let output = Command::new(cargo_path())
        .args(["run", "--quiet", "--locked", "--release"])
        .args(["--manifest-path", "benches/Cargo.toml", "--bin", "lookups"])
        // That of the workspace: most of what it links is there after other parts.
        .args(["--target-dir", "target", "--", "--json"])
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("lookups: {e}"))?;
    if !output.status.success() {
        return Err(format!("lookups: {}", output.status));
    }
    let counted = serde_json::from_slice(&output.stdout).map_err(|e| format!("lookups: {e}"))?;
    counts(&counted)
}

fn counts(object: &Value) -> Result<Counts, String> {
    serde_json::from_value(object.clone()).map_err(|e| format!("instructions: {e}"))
}

/// Debian's, where there is none.
fn install_valgrind() -> Result<(), String> {
    if Command::new("valgrind").arg("--version").output().is_ok() {
        return Ok(());
    }
    eprintln!("-- installing valgrind");
    command(Command::new("apt-get").args(["update", "-q"]))?;
    command(
        Command::new("apt-get")
            .args(["install", "-qy", "--no-install-recommends", "valgrind"])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// The compiler's name with its version, and the machine that it runs on.
fn compiler() -> Result<(String, String), String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .current_dir(root())
        .output();
    let output = output.map_err(|e| format!("rustc: {e}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    match (said.lines().next(), host) {
        (Some(compiler), Some(host)) => Ok((compiler.to_owned(), host.to_owned())),
        _ => Err(format!("rustc -vV said {said:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, compare};

    #[test]
    fn two_percent_more_is_allowed() {
        let counts = |counts: &[(&str, u64)]| -> Counts {
            let counts = counts.iter();
            counts
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect()
        };
        let recorded = counts(&[("a", 100), ("b", 100), ("c", 100), ("old", 1)]);
        let counted = counts(&[("a", 102), ("b", 103), ("c", 90), ("new", 1)]);
        let (table, excess) = compare(&recorded, &counted);
        assert_eq!(excess, "b; new; old");
        assert!(table.contains("     100      103  b  more\n"));
        assert!(table.contains("     100       90  c  fewer\n"));
        assert!(table.contains("     100      102  a\n"));
    }
}

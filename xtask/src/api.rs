//! What the crates show to others: a listing of each in `api/`, reviewed like code.
//!
//! A listing has one line for each feature and for each public item as rustdoc sees it with all features. Left
//! out is what follows from other lines: blanket implementations, methods that implement a trait of the standard
//! library, and that a type is `Send` and the like; that it is *not* is a line.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{Package, cargo_path, command, metadata, packages, root, text};

/// The listings are those of the code, nothing is gone that the last tag promises, and what a crate shows of others
/// can be named through it.
pub(crate) fn api() -> Result<(), String> {
    let listings = listings()?;
    let differences: String = listings
        .iter()
        .map(|(package, lines)| diff(package, &recorded(&package.name), lines))
        .collect();
    if !differences.is_empty() {
        return Err(format!(
            "`api/` lists something else; `cargo xtask api --bless` writes what the code has\n{differences}"
        ));
    }
    if let Some(file) = strangers(&listings)?.first() {
        return Err(format!("{} lists no crate", file.display()));
    }
    since_last_tag(&listings)?;
    reexports(&listings)
}

/// Writes the listings.
pub(crate) fn bless() -> Result<(), String> {
    let listings = listings()?;
    for file in strangers(&listings)? {
        fs::remove_file(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    for (package, lines) in &listings {
        let file = file(&package.name);
        let listing: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::create_dir_all(directory())
            .and_then(|()| fs::write(&file, listing))
            .map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(())
}

type Lines = Vec<String>;

fn directory() -> PathBuf {
    Path::new(root()).join("api")
}

fn file(package: &str) -> PathBuf {
    directory().join(format!("{package}.txt"))
}

fn recorded(package: &str) -> Lines {
    let text = fs::read_to_string(file(package)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Files in `api/` that belong to no crate.
fn strangers(listings: &[(Package, Lines)]) -> Result<Vec<PathBuf>, String> {
    let Ok(entries) = fs::read_dir(directory()) else {
        return Ok(Vec::new());
    };
    let known: BTreeSet<PathBuf> = listings.iter().map(|(p, _)| file(&p.name)).collect();
    let files = entries.map(|entry| entry.map(|entry| entry.path()));
    let files: Vec<PathBuf> = files
        .collect::<Result<_, _>>()
        .map_err(|e| format!("api: {e}"))?;
    Ok(files.into_iter().filter(|f| !known.contains(f)).collect())
}

fn listings() -> Result<Vec<(Package, Lines)>, String> {
    let metadata = metadata(&["--no-deps"])?;
    let json = Path::new(text(&metadata, "target_directory")).join("doc");
    command(
        Command::new(cargo_path())
            .args(["doc", "--quiet", "--workspace", "--exclude", "xtask"])
            .args(["--no-deps", "--all-features"])
            .env("RUSTDOC", Path::new(root()).join("xtask/rustdoc.sh"))
            .env("RUSTDOCFLAGS", "-Z unstable-options --output-format json"),
    )?;
    let listing = |package: Package| {
        let json = json.join(format!("{}.json", package.library()));
        let lines = listing(&package, &json)?;
        Ok((package, lines))
    };
    packages()?.into_iter().map(listing).collect()
}

/// The format of JSON that `public-api` reads; those of other compilers differ.
const FORMAT: &str = "\"format_version\":57";

fn listing(package: &Package, json: &Path) -> Result<Lines, String> {
    let text = fs::read_to_string(json).map_err(|e| format!("{}: {e}", json.display()))?;
    if !text.contains(FORMAT) {
        return Err(format!(
            "{} has no {FORMAT}: another compiler needs another `public-api`",
            json.display()
        ));
    }
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .build()
        .map_err(|e| format!("{}: {e}", json.display()))?;
    let features = package.features.iter().map(|f| format!("feature {f}"));
    let items = without_the_obvious(api.items().map(ToString::to_string));
    Ok(features.chain(items).collect())
}

fn without_the_obvious(items: impl Iterator<Item = String>) -> Lines {
    // How methods of the standard trait begin whose implementation is being listed.
    let mut methods = None;
    let mut obvious = |item: &String| {
        if let Some((of, whom)) = implementation(item) {
            let standard = ["core::", "alloc::", "std::"];
            let is_standard = standard.iter().any(|library| of.starts_with(library));
            methods = is_standard.then(|| format!("{whom}::"));
            let internal = INTERNAL.contains(&of.trim_start_matches('!'));
            internal || AUTO_TRAITS.contains(&of)
        } else {
            let function = item.split_once("fn ");
            let method = methods.as_ref().zip(function);
            method.is_some_and(|(whom, (_, path))| path.starts_with(whom.as_str()))
        }
    };
    items.filter(|item| !obvious(item)).collect()
}

/// Traits that types have unless something in them has not.
const AUTO_TRAITS: [&str; 5] = [
    "core::marker::Send",
    "core::marker::Sync",
    "core::marker::Unpin",
    "core::panic::unwind_safe::RefUnwindSafe",
    "core::panic::unwind_safe::UnwindSafe",
];

/// Traits that stable Rust does not know, or derives with others.
const INTERNAL: [&str; 3] = [
    "core::marker::Freeze",
    "core::marker::StructuralPartialEq",
    "core::marker::UnsafeUnpin",
];

/// The trait and the type of an implementation, `!` before the trait if it is negative.
fn implementation(item: &str) -> Option<(&str, &str)> {
    let item = item.strip_prefix("impl")?;
    let item = item[generics_len(item)..].trim_start();
    let (of, whom) = item.split_once(" for ")?;
    let whom = whom.split_once(" where ").map_or(whom, |(whom, _)| whom);
    Some((of, whom))
}

/// Bytes of what stands in angle brackets at the beginning of `text`.
fn generics_len(text: &str) -> usize {
    let mut depth = 0;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return if at == 0 { 0 } else { at + 1 };
        }
        before = c;
    }
    0
}

/// What only one of the two has, as lines of a diff.
fn diff(package: &Package, old: &[String], new: &[String]) -> String {
    let (gone, added) = (only_in(old, new), only_in(new, old));
    let mut text = String::new();
    if !gone.is_empty() || !added.is_empty() {
        let _ = writeln!(text, "{}", package.name);
    } else if old != new {
        let _ = writeln!(text, "{}: the same lines in another order", package.name);
    }
    let gone = gone.iter().map(|line| ('-', line));
    for (sign, line) in gone.chain(added.iter().map(|line| ('+', line))) {
        let _ = writeln!(text, "  {sign}{line}");
    }
    text
}

fn only_in<'a>(lines: &'a [String], other: &[String]) -> Vec<&'a str> {
    let other: BTreeSet<&String> = other.iter().collect();
    let only = lines.iter().filter(|line| !other.contains(line));
    only.map(String::as_str).collect()
}

/// What the last tag lists is there, or the version says that it need not be.
///
/// That is half of what compatibility means: a method that a trait newly asks for, or a variant of an enumeration
/// that was exhaustive, is for a reviewer to see.
fn since_last_tag(listings: &[(Package, Lines)]) -> Result<(), String> {
    let Some(tag) = git(&["describe", "--tags", "--abbrev=0", "--match", "v[0-9]*"]) else {
        eprintln!("-- no tag to compare with");
        return Ok(());
    };
    let tag = tag.trim();
    let mut broken = String::new();
    for (package, lines) in listings {
        let Some(old) = git(&["show", &format!("{tag}:./api/{}.txt", package.name)]) else {
            continue;
        };
        let old: Lines = old.lines().map(str::to_owned).collect();
        let gone = only_in(&old, lines);
        if !gone.is_empty() && compatible(tag.trim_start_matches('v'), &package.version) {
            let _ = writeln!(broken, "{} {}", package.name, package.version);
            for line in gone {
                let _ = writeln!(broken, "  -{line}");
            }
        }
    }
    if broken.is_empty() {
        eprintln!("-- nothing of {tag} is gone that the version promises");
        Ok(())
    } else {
        Err(format!(
            "gone since {tag}, with which the version is compatible\n{broken}"
        ))
    }
}

/// As cargo sees it: the first number that is not 0 is the same.
fn compatible(old: &str, new: &str) -> bool {
    let significant = |version: &str| -> Vec<String> {
        let numbers: Vec<&str> = version.split('.').collect();
        let first = numbers.iter().position(|number| *number != "0");
        let len = first.map_or(numbers.len(), |first| first + 1);
        numbers.iter().take(len).map(ToString::to_string).collect()
    };
    significant(old) == significant(new)
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).current_dir(root()).output();
    let output = output.ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// Whose types or traits a crate shows, it re-exports: its users need not find out which version it has.
fn reexports(listings: &[(Package, Lines)]) -> Result<(), String> {
    let mut missing = String::new();
    for (package, lines) in listings {
        for library in &package.dependencies {
            let shown = lines.iter().find(|line| shows(line, library));
            let line = format!("pub use {}::{}", package.library(), short(library));
            if let Some(shown) = shown.filter(|_| !lines.contains(&line)) {
                let _ = writeln!(missing, "  {line}, because of {shown}");
            }
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("crates show what they do not re-export\n{missing}"))
    }
}

/// Whether `line` has a path that begins with the name of a library.
fn shows(line: &str, library: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    line.match_indices(library).any(|(at, _)| {
        line[at + library.len()..].starts_with("::") && !line[..at].ends_with(inside)
    })
}

/// What crates of the workspace call each other in public: as the facade does.
fn short(library: &str) -> &str {
    match library.strip_prefix("lazyoci_").unwrap_or(library) {
        "image_model" => "model",
        "image_read" => "read",
        "image_convert" => "convert",
        "image_store" => "store",
        "image_transcode" => "transcode",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::{compatible, generics_len, implementation, shows, without_the_obvious};

    #[test]
    fn implementations_are_taken_apart() {
        let item =
            "impl<F: core::ops::FnMut(u64) -> Result<(), E>> a::Progress for F where F: Send";
        assert_eq!(implementation(item), Some(("a::Progress", "F")));
        assert_eq!(
            implementation("impl !core::marker::Send for a::B"),
            Some(("!core::marker::Send", "a::B"))
        );
        assert_eq!(implementation("impl<R> a::Counted<R>"), None);
        assert_eq!(implementation("pub fn a::b()"), None);
        assert_eq!(generics_len("<'a> x"), 4);
    }

    #[test]
    fn what_follows_from_other_lines_is_left_out() {
        let listed = [
            ("pub struct a::B", true),
            ("impl a::B", true),
            ("pub fn a::B::new() -> Self", true),
            ("impl core::iter::Iterator for a::B", true),
            ("pub type a::B::Item = u8", true),
            (
                "pub fn a::B::next(&mut self) -> core::option::Option<u8>",
                false,
            ),
            ("impl core::marker::StructuralPartialEq for a::B", false),
            ("impl core::marker::Send for a::B", false),
            ("impl !core::marker::Sync for a::B", true),
            ("impl !core::marker::Freeze for a::B", false),
            ("impl a::C for a::B", true),
            ("pub fn a::B::c(&self)", true),
            ("impl core::fmt::Debug for a::B", true),
            ("pub fn a::c()", true),
        ];
        let all = listed.iter().map(|(line, _)| (*line).to_owned());
        let kept = listed.iter().filter(|(_, kept)| *kept);
        let kept: Vec<&str> = kept.map(|(line, _)| *line).collect();
        assert_eq!(without_the_obvious(all), kept);
    }

    #[test]
    fn the_first_number_that_is_not_zero_counts() {
        assert!(compatible("0.1.0", "0.1.9"));
        assert!(!compatible("0.1.0", "0.2.0"));
        assert!(!compatible("0.0.1", "0.0.2"));
        assert!(compatible("1.2.0", "1.3.0"));
        assert!(!compatible("1.2.0", "2.0.0"));
    }

    #[test]
    fn paths_of_a_library_begin_with_its_name() {
        assert!(shows("pub fn a::b() -> bytes::Bytes", "bytes"));
        assert!(shows("pub fn a::b(&bytes::Bytes)", "bytes"));
        assert!(!shows("pub fn a::bytes::Bytes::new()", "bytes"));
        assert!(!shows("pub fn a::b(my_bytes::Bytes)", "bytes"));
    }
}

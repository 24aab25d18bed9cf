//! Odd tars, read by GNU tar, bsdtar (libarchive), Python, Go (`archive/tar`, with containerd's rules of applying a
//! layer), and ours: what all read alike is read alike; what they read differently strict reading refuses by name; lenient
//! reading reads as Go does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use lazyoci::model::{Blame, Fault};
use lazyoci::read::LayerImageError;
use lazyoci::tar_stream::TarError;
use lazyoci_interop::readers::{Made, Odd, corpus, difference, gnu, go, ours, python};
use lazyoci_interop::scratch;

/// What is not as the rule says, and why.
struct Exception {
    reason: &'static str,
    holds: fn(kind: &str, name: &str) -> bool,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        reason: "containerd takes `a/.` for `a` and ignores a file for the root; GNU tar fails on both",
        holds: |kind, name| kind == "name" && (names_the_root(name) || name.ends_with(" a/.")),
    },
    Exception {
        reason: "a ustar prefix in a GNU block is that of layers on Docker Hub: read as the runtimes do",
        holds: |kind, name| {
            kind == "magic" && name.starts_with("ustar  \\x00 ") && name.contains("prefix")
        },
    },
    Exception {
        reason: "Python alone reads a name prefix without magic; strict reading refuses that, since it hides a name",
        holds: |kind, name| {
            kind == "magic" && (name.contains("prefix") || name.contains("octal times"))
        },
    },
    Exception {
        reason: "a PAX or GNU header that Go loses in front of a global one is refused, also where nothing is lost by it",
        holds: |kind, name| kind == "order" && name.contains(" comment"),
    },
    Exception {
        reason: "a global link target is refused, also where no link is in the tar",
        holds: |kind, name| kind == "global PAX record" && name == "linkpath",
    },
    Exception {
        reason: "bsdtar alone takes the fraction of a time before 1970 the wrong way",
        holds: |kind, name| kind == "PAX value" && matches!(name, "mtime=-0.5" | "mtime=-1.5"),
    },
    Exception {
        reason: "no file can have such an owner or device number: lenient reading refuses it, or GNU tar cannot make it",
        holds: |kind, name| {
            let beyond = ["-1", "4294967296", "9223372036854775807"];
            let field = ["uid", "gid", "devmajor"]
                .into_iter()
                .find(|field| name.contains(field));
            match kind {
                "PAX value" => {
                    field.is_some()
                        && beyond
                            .iter()
                            .any(|value| name.ends_with(&format!("={value}")))
                }
                // In base 256, or the largest octal one.
                "number" => {
                    field.is_some()
                        && ["\\xff", "\\x80", "77777777"]
                            .iter()
                            .any(|part| name.contains(part))
                }
                _ => false,
            }
        },
    },
    Exception {
        reason: "bsdtar and GNU tar look at device numbers behind a block without magic, where the runtimes see none",
        holds: |kind, name| kind == "number" && name.starts_with("v7 devmajor"),
    },
    Exception {
        reason: "an extended attribute without a name can be set by nobody",
        holds: |_, name| name.starts_with("SCHILY.xattr.="),
    },
    Exception {
        reason: "a hard link in front of its target fails everywhere; what it means is clear, and indexes have such",
        holds: |kind, name| {
            kind == "hard link" && (name.ends_with("later") || name.ends_with("zz-end"))
        },
    },
    Exception {
        reason: "GNU tar unpacks links to absolute paths and to `..` last, to be safe: so it differs from the runtimes",
        holds: |kind, name| kind == "symlink" && (name.contains("to /") || name.contains("..")),
    },
    Exception {
        reason: "GNU tar alone gives the slash behind a hard link's target to the kernel",
        holds: |kind, name| kind == "hard link" && name.ends_with("d/f/"),
    },
    Exception {
        reason: "GNU tar sets the times of directories last, also that of one which a file has replaced by then",
        holds: |kind, name| kind == "replaced" && name == "directory by other file",
    },
    Exception {
        reason: "GNU tar does not replace a directory that holds something, the runtimes do",
        holds: |kind, name| {
            kind == "replaced" && (name.starts_with("full directory by") || name == "a/b/c a")
        },
    },
    Exception {
        reason: "no bytes at all are an empty layer to the runtimes, to GNU tar and bsdtar no archive",
        holds: |kind, name| kind == "end" && name == "empty",
    },
    Exception {
        reason: "bsdtar alone skips the size of a link behind a PAX header; old writers put it there",
        holds: |kind, _| kind == "size of no payload",
    },
];

/// Whether the last word of the name of a case is a name of the root.
fn names_the_root(name: &str) -> bool {
    let last = name.rsplit(' ').next().unwrap_or_default();
    last.split('/')
        .all(|component| matches!(component, "" | "."))
}

fn excepted(odd: &Odd) -> Option<&'static str> {
    let holds = |exception: &&Exception| {
        odd.cases
            .iter()
            .any(|(kind, name)| (exception.holds)(kind, name))
    };
    EXCEPTIONS
        .iter()
        .find(holds)
        .map(|exception| exception.reason)
}

/// The name of a refusal: that of its variants.
fn kind_of(error: &LayerImageError) -> String {
    let text = match error {
        LayerImageError::Tar(TarError::Refused { reason, .. }) => format!("Refused {reason:?}"),
        LayerImageError::Tar(error) => format!("{error:?}"),
        LayerImageError::Member(error) => format!("Member {:?}", error.reason),
        LayerImageError::Entry { source, .. } => format!("Layer {source:?}"),
        LayerImageError::Layer(source) => format!("Layer {source:?}"),
        other => format!("{other:?}"),
    };
    text.split([' ', '{', '('])
        .filter(|word| !word.is_empty())
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn odd_tars_are_read_as_the_runtimes_read_them() {
    let corpus = corpus();
    assert!(corpus.len() >= 2000, "{} tars", corpus.len());
    let dir = scratch();
    let paths: Vec<_> = corpus
        .iter()
        .enumerate()
        .map(|(index, odd)| {
            let path = dir.path().join(format!("{index}.tar"));
            std::fs::write(&path, &odd.tar).expect("the scratch directory is writable");
            path
        })
        .collect();
    let by_go = go(dir.path(), &paths);
    let by_python = python("tarfile", &paths);
    let by_libarchive = python("libarchive", &paths);
    let by_gnu = gnu(dir.path(), &paths);

    let mut wrong = String::new();
    let (mut alike, mut differ, mut refused) = (0, 0, BTreeMap::<String, u32>::new());
    let mut exceptions = BTreeMap::<&str, u32>::new();
    // Cases that are refused where nothing else is in the tar, since readers differ there.
    let mut refused_alone = BTreeSet::new();
    for (index, odd) in corpus.iter().enumerate() {
        let (go, gnu, libarchive) = (&by_go[index], &by_gnu[index], &by_libarchive[index]);
        // What makes a difference to those that unpack layers or tars; what Go refuses, containerd refuses.
        let apart = [("GNU tar", gnu), ("bsdtar", libarchive)]
            .into_iter()
            .find_map(|(name, made)| {
                Some(format!("Go and {name}: {}", difference(go, made, false)?))
            })
            .or_else(|| Some(format!("Go refuses: {}", go.as_ref().err()?)));
        let python = difference(go, &by_python[index], true);
        let strict = ours(&odd.tar, false);
        let mut faults = Vec::new();
        match &apart {
            None => {
                alike += u32::from(python.is_none());
                match &strict {
                    Ok(tree) => faults.extend(difference(go, &Ok(tree.clone()), false)),
                    // A later entry of the same name hides from all of them what is odd.
                    Err(_) if odd.cases.iter().any(|case| refused_alone.contains(case)) => {}
                    Err(error) => faults.push(format!(
                        "all alike{}, but strict refuses: {error:?}",
                        if python.is_some() {
                            " (but for Python)"
                        } else {
                            ""
                        }
                    )),
                }
            }
            Some(why) => {
                differ += 1;
                match &strict {
                    Ok(_) => faults.push(format!("strict accepts; {why}")),
                    Err(error) => {
                        assert_ne!(error.fault(), Fault::Io, "{error}");
                        *refused.entry(kind_of(error)).or_default() += 1;
                        if let [case] = &odd.cases[..] {
                            refused_alone.insert(case);
                        }
                    }
                }
            }
        }
        let lenient: Made = ours(&odd.tar, true).map_err(|error| format!("{error:?}"));
        if let Some(why) = difference(go, &lenient, false) {
            faults.push(format!("lenient is not as Go: {why}"));
        }
        match excepted(odd) {
            Some(reason) if !faults.is_empty() => *exceptions.entry(reason).or_default() += 1,
            _ => {
                for fault in faults {
                    let _ = writeln!(wrong, "{:?}: {fault}", odd.cases);
                }
            }
        }
    }
    println!(
        "{} tars: {alike} read alike by all, {differ} not",
        corpus.len()
    );
    for (kind, count) in &refused {
        println!("{count:5} refused: {kind}");
    }
    for (reason, count) in &exceptions {
        println!("{count:5} excepted: {reason}");
    }
    let count = wrong.lines().count();
    if let Some(path) = std::env::var_os("READERS_WRONG") {
        std::fs::write(path, &wrong).unwrap();
    }
    let shown: Vec<_> = wrong.lines().take(60).collect();
    assert!(
        count == 0,
        "{count} faults, the first of them:\n{}",
        shown.join("\n")
    );
}

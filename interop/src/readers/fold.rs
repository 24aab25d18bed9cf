//! From the entries that a reader finds to the tree that containerd makes of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Made, Seen};

/// Symbolic links that are followed on one path at most.
const MAX_LINKS: u32 = 255;

#[derive(Default)]
struct Tree {
    /// Positions in `files`, by cleaned paths.
    paths: BTreeMap<Vec<u8>, usize>,
    files: Vec<Seen>,
}

/// Applies what `reader.go` or `reader.py` says of a tar as containerd's `archive.Apply` does, whiteouts
/// being the files that they are.
///
/// # Errors
/// What the reader stopped at, or what containerd refuses.
///
/// # Panics
/// If the object is not of that form.
pub fn fold(found: &Value) -> Made {
    let error = found["error"].as_str().expect("a text");
    if !error.is_empty() {
        return Err(error.into());
    }
    let mut tree = Tree::default();
    for entry in found["entries"].as_array().expect("a list") {
        tree.apply(entry)?;
    }
    let Tree { paths, files } = tree;
    let tree = paths
        .into_iter()
        .map(|(path, file)| (path, (file, files[file].clone())));
    Ok(super::with_first_names(tree.collect()))
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().expect("hex").as_bytes();
    let digit = |digit: &u8| char::from(*digit).to_digit(16).expect("hex") as u8;
    text.chunks(2)
        .map(|pair| digit(&pair[0]) << 4 | digit(&pair[1]))
        .collect()
}

/// The components of a path cleaned at the root.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let mut clean: Vec<Vec<u8>> = Vec::new();
    for component in path.split(|&b| b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => drop(clean.pop()),
            name => clean.push(name.to_vec()),
        }
    }
    clean
}

impl Tree {
    fn apply(&mut self, entry: &Value) -> Result<(), String> {
        // What is beyond 64 bits is the largest there is, or the smallest.
        let number = |key: &str| {
            let value = &entry[key];
            value
                .as_i64()
                .unwrap_or_else(|| value.as_f64().expect("a number") as i64)
        };
        let kind = match entry["type"].as_str().expect("a text") {
            "0" | "7" | "S" | "\0" => "file",
            "1" => "hard link",
            "2" => "symlink",
            "3" => "char",
            "4" => "block",
            "5" => "directory",
            "6" => "fifo",
            "g" => return Ok(()),
            other => return Err(format!("unhandled tar header type {other:?}")),
        };
        let mut path = components(&bytes(&entry["name"]));
        let Some(name) = path.pop() else {
            // "ignored: resolved to root"
            return Ok(());
        };
        let parent = self.resolve(&path)?;
        self.make(&parent)?;
        let at = join(&parent, &name);
        if let Some(hidden) = name.strip_prefix(b".wh.")
            && matches!(hidden, b"" | b"." | b"..")
        {
            return Err("invalid whiteout name".into());
        }
        if kind == "hard link" {
            return self.link(at, &bytes(&entry["link"]), name.starts_with(b".wh."));
        }
        let device = match kind {
            "char" | "block" => (
                number("major").cast_unsigned(),
                number("minor").cast_unsigned(),
            ),
            _ => (0, 0),
        };
        let xattrs = entry["xattrs"].as_object().expect("an object").iter();
        let seen = Seen {
            kind,
            implied: false,
            mode: number("mode").cast_unsigned(),
            owner: (number("uid"), number("gid")),
            time: (number("seconds"), number("nanos")),
            device,
            size: if kind == "file" {
                number("size").cast_unsigned()
            } else {
                0
            },
            content: match kind {
                "file" => entry["sha256"].as_str().expect("a text").into(),
                "symlink" => entry["link"].as_str().expect("a text").into(),
                _ => String::new(),
            },
            xattrs: xattrs
                .map(|(k, v)| (k.clone(), v.as_str().expect("a text").into()))
                .collect(),
            first: Vec::new(),
        };
        if kind == "symlink" && seen.content.is_empty() {
            return Err("symlink: no such file or directory".into());
        }
        match self.paths.get(&at) {
            Some(&old) if kind == "directory" && self.files[old].kind == "directory" => {
                self.files[old] = seen
            }
            _ => self.put(at, seen),
        }
        Ok(())
    }

    fn put(&mut self, at: Vec<u8>, seen: Seen) {
        self.remove(&at);
        self.paths.insert(at, self.files.len());
        self.files.push(seen);
    }

    fn remove(&mut self, at: &[u8]) {
        let below = [at, b"/"].concat();
        self.paths
            .retain(|path, _| path != at && !path.starts_with(&below));
    }

    fn link(&mut self, at: Vec<u8>, target: &[u8], whiteout: bool) -> Result<(), String> {
        if whiteout {
            // Nobody looks at its target.
            self.put(at, implied("file"));
            return Ok(());
        }
        let mut target = components(target);
        let last = target.pop();
        let mut path = self.resolve(&target)?;
        if let Some(last) = last {
            path = join(&path, &last);
        }
        self.remove(&at);
        match self.paths.get(&path) {
            Some(&file) if self.files[file].kind != "directory" => {
                self.paths.insert(at, file);
                Ok(())
            }
            found => Err(format!(
                "link: {}",
                if found.is_some() {
                    "a directory"
                } else {
                    "no such file"
                }
            )),
        }
    }

    /// `fs.RootPath`: symbolic links followed inside the root; what is missing is taken by its name.
    fn resolve(&self, path: &[Vec<u8>]) -> Result<Vec<u8>, String> {
        let mut at: Vec<Vec<u8>> = Vec::new();
        let mut ahead: Vec<Vec<u8>> = path.iter().rev().cloned().collect();
        let mut links = 0;
        while let Some(component) = ahead.pop() {
            match &component[..] {
                b"" | b"." => continue,
                b".." => {
                    at.pop();
                    continue;
                }
                _ => {}
            }
            at.push(component);
            let here = at.join(&b'/');
            let Some(&file) = self.paths.get(&here) else {
                continue;
            };
            if self.files[file].kind == "symlink" {
                links += 1;
                if links > MAX_LINKS {
                    return Err("too many links".into());
                }
                let target = bytes(&Value::String(self.files[file].content.clone()));
                at.pop();
                if target.starts_with(b"/") {
                    at.clear();
                }
                ahead.extend(target.split(|&b| b == b'/').rev().map(<[u8]>::to_vec));
            }
        }
        Ok(at.join(&b'/'))
    }

    /// Makes the directories on the way, where they are missing.
    fn make(&mut self, path: &[u8]) -> Result<(), String> {
        let ends = path
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| at);
        for end in ends
            .chain((!path.is_empty()).then_some(path.len()))
            .collect::<Vec<_>>()
        {
            match self.paths.get(&path[..end]) {
                None => self.put(path[..end].to_vec(), implied("directory")),
                Some(&file) if self.files[file].kind == "directory" => {}
                Some(_) => return Err("not a directory".into()),
            }
        }
        Ok(())
    }
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    match parent {
        b"" => name.to_vec(),
        parent => [parent, b"/", name].concat(),
    }
}

fn implied(kind: &'static str) -> Seen {
    Seen {
        kind,
        implied: true,
        mode: 0,
        owner: (0, 0),
        time: (0, 0),
        device: (0, 0),
        size: 0,
        content: String::new(),
        xattrs: BTreeMap::new(),
        first: Vec::new(),
    }
}

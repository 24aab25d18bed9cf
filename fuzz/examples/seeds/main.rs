//! Makes the seeds of every target out of the goldens of this repository and of tars made here.
//!
//! ```text
//! cargo run --manifest-path fuzz/Cargo.toml --example seeds [CORPUS]
//! ```
//!
//! They go to `fuzz/corpus/TARGET/seed-NAME`, or below CORPUS. Each is run through its target first, so
//! this is a test as well.

mod bootstraps;
mod choices;
mod goldens;
mod images;
mod layers;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use lazyoci::model::ImagePath;
use lazyoci_fuzz::targets::TARGETS;

use bootstraps::{take_many_chunks, take_pairs, take_traps};
use choices::{take_choices, take_dictionary, take_texts};
use goldens::{goldens, take_estargz, take_golden};
use images::take_images;
use layers::{take_tar, tars};

/// Longest seed in bytes: longer ones are slow and teach nothing.
const MAX_LEN: usize = 96 << 10;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Seeds by target and name.
type Seeds = BTreeMap<(&'static str, String), Vec<u8>>;

fn main() -> Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = std::env::args_os()
        .nth(1)
        .map_or_else(|| fuzz.join("corpus"), PathBuf::from);
    let mut seeds = Seeds::new();
    let root = fuzz.parent().ok_or("the package lies in the repository")?;
    for golden in goldens(root)? {
        take_golden(&golden, root, &mut seeds)?;
        // A layer whose TOC is another blob has none to take.
        if golden
            .extension()
            .is_some_and(|extension| extension == "esgz")
            && !golden.ends_with("vector-external.esgz")
        {
            take_estargz(&golden, root, &mut seeds)?;
        }
    }
    let tars = tars()?;
    for (name, tar) in &tars {
        take_tar(name, tar, &mut seeds)?;
    }
    take_images(&tars, &mut seeds)?;
    take_many_chunks(&mut seeds)?;
    take_traps(&mut seeds)?;
    take_texts(&mut seeds);
    take_choices(&mut seeds);
    take_dictionary(&mut seeds)?;
    take_pairs(&mut seeds)?;
    for target in TARGETS {
        let mut count = 0;
        let folder = corpus.join(target.name);
        fs::create_dir_all(&folder)?;
        for ((_, name), bytes) in seeds.iter().filter(|((of, _), _)| *of == target.name) {
            (target.run)(bytes);
            fs::write(folder.join(format!("seed-{name}")), bytes)?;
            count += 1;
        }
        println!("{}: {count} seeds", target.name);
        if count == 0 {
            return Err(format!("{} has no seeds", target.name).into());
        }
    }
    Ok(())
}

fn path(text: &str) -> Result<ImagePath> {
    Ok(ImagePath::clean(text.as_bytes())?)
}

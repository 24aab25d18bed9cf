//! Opens bootstraps, and looks up paths and chunks in them, with lazyoci and with nydus-rafs.
//!
//! ```text
//! lazyoci-benches-nydus LAYER RUNS                      converts the layer to RAFS v5 and v6, has both libraries do
//!                                                       the same in turn, prints time and instructions as Markdown
//! lazyoci-benches-nydus count LIBRARY TASK BOOTSTRAP    does one task once: what is counted
//! ```
//!
//! Each run opens the bootstrap anew and asks for the next 1,000 of the image's files. Before that every answer of
//! one library was compared with that of the other.

mod count;
mod library;
mod ours;
mod questions;
mod task;
mod theirs;
mod time;

use std::error::Error;
use std::path::Path;

use lazyoci::rafs_format::Version;

use library::Library;
use ours::Ours;
use questions::{COUNT, Question, compare, convert, questions};
use task::Task;
use theirs::Theirs;
use time::{Caches, Times};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [layer, runs] => compare_all(Path::new(layer), runs.parse()?),
        [word, library, task, bootstrap] if word == "count" => {
            count_one(library, task, Path::new(bootstrap))
        }
        _ => Err("usage: lazyoci-benches-nydus LAYER RUNS | count LIBRARY TASK BOOTSTRAP".into()),
    }
}

fn count_one(library: &str, task: &str, bootstrap: &Path) -> Result<()> {
    let task = Task::ALL.into_iter().find(|known| known.name() == task);
    let task = task.ok_or("there is no such task")?;
    match library {
        Ours::NAME => count::count_in::<Ours>(task, bootstrap),
        Theirs::NAME => count::count_in::<Theirs>(task, bootstrap),
        _ => return Err("there is no such library".into()),
    }
    Ok(())
}

fn compare_all(layer: &Path, runs: usize) -> Result<()> {
    let directory = tempfile::tempdir()?;
    for (version, name) in [(Version::V5, "v5"), (Version::V6, "v6")] {
        let image = directory.path().join(name);
        convert(layer, version, &image);
        std::fs::remove_dir_all(image.join("blobs"))?;
        let bootstrap = image.join("image.boot");
        let questions = questions(&bootstrap);
        compare::<Ours, Theirs>(&bootstrap, &questions);
        let len = std::fs::metadata(&bootstrap)?.len();
        let different = questions.len();
        println!("## RAFS {name}: a bootstrap of {len} bytes, {different} different paths\n");
        tell_all(&bootstrap, &questions, runs)?;
    }
    Ok(())
}

fn tell_all(bootstrap: &Path, questions: &[Question], runs: usize) -> Result<()> {
    let (ours, theirs) = (Ours::NAME, Theirs::NAME);
    println!("| | {ours} µs | {theirs} µs | ratio | {ours} instructions | {theirs} | ratio |");
    println!("|---|---|---|---|---|---|---|");
    let parts: Vec<&[Question]> = questions.chunks_exact(COUNT).cycle().take(runs).collect();
    for task in Task::ALL {
        let what = match task {
            Task::Open => "open".to_owned(),
            Task::Paths => format!("open, {COUNT} paths"),
            Task::Chunks => format!("open, {COUNT} paths and chunks"),
        };
        let times = time::measure::<Ours, Theirs>(task, bootstrap, &parts, &mut || ());
        let counts = [ours, theirs].map(|name| count::count(name, task, bootstrap));
        let [ours, theirs] = counts;
        let (ours, theirs) = (ours?, theirs?);
        let fewer = ours as f64 / theirs as f64;
        let counts = format!("{ours} | {theirs} | {fewer:.3}");
        tell(&what, &times, &counts);
    }
    let all = vec![questions; runs.min(7)];
    for (task, what) in [
        (Task::Paths, "open, every path"),
        (Task::Chunks, "open, every path and a chunk"),
    ] {
        let times = time::measure::<Ours, Theirs>(task, bootstrap, &all, &mut || ());
        tell(what, &times, " | | ");
    }
    let mut caches = Caches::new();
    let mut fill = || caches.fill();
    let times = time::measure::<Ours, Theirs>(Task::Paths, bootstrap, &parts, &mut fill);
    let what = format!("open, {COUNT} paths, processor's caches cold");
    tell(&what, &times, " | | ");
    println!();
    Ok(())
}

fn tell(what: &str, times: &Times, counts: &str) {
    let (one, other, ratio) = times.medians();
    println!("| {what} | {one:.0} | {other:.0} | **{ratio:.3}** | {counts} |");
}

//! Odd tars, the same ones every time.

mod extension;
mod header;
mod name;
mod sparse;
mod whole;

use super::tape::{GNU, Tape, USTAR, V7};

/// A tar that somebody may read differently.
#[derive(Debug)]
pub struct Odd {
    /// What is odd: the kind, as a word, and the very case; of a mixed one both.
    pub cases: Vec<(&'static str, String)>,
    /// Its bytes.
    pub tar: Vec<u8>,
}

/// All of them.
#[must_use]
pub fn corpus() -> Vec<Odd> {
    let mut all = Corpus::default();
    for part in [
        header::numbers,
        header::checksums,
        header::magics,
        name::names,
        header::types,
        name::links,
        extension::values,
        extension::forms,
        extension::orders,
        sparse::sparse,
        whole::whiteouts,
        whole::ends,
        whole::replaced,
        mixed,
    ] {
        part(&mut all);
    }
    all.0
}

#[derive(Default)]
struct Corpus(Vec<Odd>);

impl Corpus {
    fn add(&mut self, kind: &'static str, name: impl Into<String>, tar: Vec<u8>) {
        let cases = vec![(kind, name.into())];
        self.0.push(Odd { cases, tar });
    }
}

const MAGICS: [(&str, &[u8]); 3] = [("ustar", USTAR), ("gnu", GNU), ("v7", V7)];

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Two oddities in one tar, by a fixed sequence of numbers.
fn mixed(all: &mut Corpus) {
    let members: Vec<_> = all
        .0
        .iter()
        .filter(|odd| matches!(odd.cases[0].0, "number" | "magic" | "PAX value"))
        .map(|odd| {
            (
                odd.cases[0].clone(),
                odd.tar[..odd.tar.len() - 2048].to_vec(),
            )
        })
        .collect();
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        &members[(state >> 8) as usize % members.len()]
    };
    let mut mixed = Vec::new();
    for _ in 0..150 {
        let (first, second) = (next(), next());
        let tar = Tape(first.1.clone()).bytes(&second.1).end();
        let cases = vec![first.0.clone(), second.0.clone()];
        mixed.push(Odd { cases, tar });
    }
    all.0.append(&mut mixed);
}

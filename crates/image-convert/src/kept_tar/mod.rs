//! Tars that are kept bit for bit beside a table of contents.

pub(crate) mod member;
mod refusal;

pub use refusal::{KeptTarError, KeptTarFault};

//! zTOCs: goldens, round trips, and what is refused.
#![allow(clippy::unwrap_used)]

mod dump;
mod goldens;
mod hostile;
mod round_trip;

//! zTOCs: goldens, round trips, and what is refused.
#![allow(clippy::unwrap_used)]

mod goldens;
mod hostile;
mod round_trip;

//! RAFS v6 bootstraps.

mod goldens;

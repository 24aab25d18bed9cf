//! Input for the benchmarks: generated, the same on every machine.

pub mod bare;
pub mod content;
pub mod dictionaries;
pub mod layer;
pub mod lookups;
pub mod reading;

pub use layer::Shape;

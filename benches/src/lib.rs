//! Input for the benchmarks: generated, the same on every machine.

pub mod content;
pub mod layer;
pub mod lookups;

pub use layer::Shape;

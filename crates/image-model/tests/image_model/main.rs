//! The model: trees, layers laid over one another, walks and differences.

mod advisory;
mod common;
mod diff;
mod frame;
mod image;
mod layer;
mod layer_model;
mod tree;
mod walk;

//! Building a tree out of a layer's entries; laying one layer over another.

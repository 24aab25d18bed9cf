//! Comparing two images, with reasons.

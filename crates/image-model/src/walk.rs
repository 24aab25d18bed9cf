//! Visiting every path of an image.

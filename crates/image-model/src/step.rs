//! What a machine that finds something in a blob, without doing I/O, wants next.

use std::ops::Range;

/// What a step machine wants next. The caller does the I/O, in its own way: it reads the range that
/// is needed, supplies the bytes, and goes on until the machine is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// The bytes of this range of the blob, counted from its start.
    Need(Range<u64>),
    /// Nothing more: the result.
    Done(T),
}

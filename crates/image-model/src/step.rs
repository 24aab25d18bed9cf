//! Machines that find something in files without doing I/O: they request the bytes that they need.
//! Every format opens this way: the footer of a blob, then what it points to. Blocking callers
//! drive a machine with [`StepMachine::drive`]; others call [`start`](StepMachine::start), and
//! [`supply`](StepMachine::supply) whenever bytes arrive.

use std::ops::Range;

use bytes::Bytes;

use crate::blob::BlobIndex;

/// A file of an image. Drivers must know all of them, so none can be added silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Object {
    /// The file that is opened, whatever its name in the image.
    Opened,
    /// A blob of the image.
    Blob(BlobIndex),
    /// What describes a blob of the image that is a layer as it was, and lies in a file of its own.
    Beside(BlobIndex),
}

/// What a machine needs next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Need {
    /// The file.
    pub object: Object,
    /// Offsets from its start. Readers should first check whether the range is too long to hold in
    /// memory.
    pub range: Range<u64>,
}

impl Need {
    /// `range` of the file that is opened.
    #[must_use]
    pub const fn opened(range: Range<u64>) -> Self {
        Self {
            object: Object::Opened,
            range,
        }
    }

    /// Number of bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Whether the range is empty. It must be supplied like any other.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a step machine wants next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// These bytes.
    Need(Need),
    /// Nothing more: the result.
    Done(T),
}

/// Finds something in files without doing I/O.
///
/// ```
/// use bytes::Bytes;
/// use lazyoci_image_model::{Need, Step, StepMachine};
///
/// /// The last byte of a file.
/// struct Last { len: u64 }
///
/// impl StepMachine for Last {
///     type Found = Option<u8>;
///     type Error = std::io::Error;
///
///     fn start(&mut self) -> std::io::Result<Step<Option<u8>>> {
///         Ok(Step::Need(Need::opened(self.len.saturating_sub(1)..self.len)))
///     }
///
///     fn supply(&mut self, bytes: Bytes) -> std::io::Result<Step<Option<u8>>> {
///         Ok(Step::Done(bytes.last().copied()))
///     }
/// }
///
/// let file = Bytes::from_static(b"abc");
/// let read = |need: Need| Ok::<_, std::io::Error>(file.slice(need.range.start as usize..need.range.end as usize));
/// assert_eq!(Last { len: 3 }.drive(read)?, Some(b'c'));
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait StepMachine {
    /// What it finds.
    type Found;
    /// Why it cannot.
    type Error;

    /// The first step; discards anything found so far.
    ///
    /// # Errors
    /// If it is already clear that there is nothing to find.
    fn start(&mut self) -> Result<Step<Self::Found>, Self::Error>;

    /// Takes all the bytes that were needed, and returns the next step.
    ///
    /// # Errors
    /// If the bytes are invalid, or not as many as were needed.
    fn supply(&mut self, bytes: Bytes) -> Result<Step<Self::Found>, Self::Error>;

    /// Runs to completion; `read` does the I/O.
    ///
    /// # Errors
    /// Those of the machine, or of `read`.
    fn drive<E: From<Self::Error>>(
        mut self,
        mut read: impl FnMut(Need) -> Result<Bytes, E>,
    ) -> Result<Self::Found, E>
    where
        Self: Sized,
    {
        let mut step = self.start()?;
        loop {
            match step {
                Step::Need(need) => step = self.supply(read(need)?)?,
                Step::Done(found) => return Ok(found),
            }
        }
    }
}

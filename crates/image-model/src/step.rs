//! Machines that find something in files without doing I/O: they say which bytes they need, and are
//! given them.
//!
//! Every format opens so: the footer of a blob, then what it points to. Who reads in a blocking way
//! drives a machine by [`StepMachine::drive`]; who does not calls [`start`](StepMachine::start) and
//! [`supply`](StepMachine::supply) in turn, whenever bytes have come.

use std::ops::Range;

use bytes::Bytes;

use crate::blob::BlobIndex;

/// A file of an image. Who drives machines must know all of them, so none can be added silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Object {
    /// The file that is opened, whatever the image calls it.
    Opened,
    /// A blob of the image.
    Blob(BlobIndex),
}

/// What a machine needs next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Need {
    /// In which file.
    pub object: Object,
    /// Bytes from its start. Who reads them checks first whether they are more than memory should
    /// be spent on.
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

    /// How many bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// Whether these are no bytes at all. They are to be supplied like others.
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
    /// Why it does not.
    type Error;

    /// The first step; all that was found so far is forgotten.
    ///
    /// # Errors
    /// If it is clear already that there is nothing to be found.
    fn start(&mut self) -> Result<Step<Self::Found>, Self::Error>;

    /// Takes the bytes that were needed, all of them, and says what is next.
    ///
    /// # Errors
    /// If they are not what they have to be, or not as many as were needed.
    fn supply(&mut self, bytes: Bytes) -> Result<Step<Self::Found>, Self::Error>;

    /// Goes on until it is done; `read` does the I/O.
    ///
    /// # Errors
    /// The machine's, or those of `read`.
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

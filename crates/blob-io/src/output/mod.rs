//! Destinations of output.

mod directory;
mod memory;
mod single;

use std::io::Write;

use crate::{WriteError, Written};

pub use directory::DirectoryOutput;
pub use memory::{MemoryOutput, StoredObject};
pub use single::{FileOutput, SingleOutput, WriterOutput};

/// Receives the objects of an image: a bootstrap and its blob, or a layer.
///
/// Objects are written one after the other, each from front to end. An object gets its name when it is
/// finished; one that is dropped earlier leaves nothing. The output appears as a whole when it is
/// [committed](Self::commit), which must be the last call; an output that is dropped earlier leaves nothing
/// either, as far as possible.
///
/// ```
/// use std::io::Write;
/// use lazyoci_blob_io::{DigestWriter, MemoryOutput, ObjectRole, Output};
///
/// fn make(output: &mut dyn Output) -> Result<(), Box<dyn std::error::Error>> {
///     let mut object = DigestWriter::new(output.begin(ObjectRole::Layer)?);
///     object.write_all(b"a layer")?;
///     let (object, written) = object.finish();
///     object.finish(&written)?;
///     Ok(output.commit()?)
/// }
///
/// let mut memory = MemoryOutput::default();
/// make(&mut memory)?;
/// assert_eq!(memory.object(ObjectRole::Layer).unwrap().bytes, "a layer");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Output {
    /// Begins an object.
    ///
    /// # Errors
    /// [`WriteError`] if it cannot be created; [`WriteError::SingleObject`] if the output takes only one
    /// object and has one already.
    fn begin(&mut self, role: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError>;

    /// Whether it takes exactly one object, so that callers with several fail early.
    fn is_single(&self) -> bool {
        false
    }

    /// Makes the finished objects appear. Called once, last.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is left then.
    fn commit(&mut self) -> Result<(), WriteError>;
}

/// An object that is being written to an [`Output`]. Writes are not buffered.
pub trait ObjectWriter: Write {
    /// Completes the object. `written` describes its content; outputs that name objects by digest use that
    /// digest.
    ///
    /// # Errors
    /// [`WriteError`] if it cannot be given its name.
    fn finish(self: Box<Self>, written: &Written) -> Result<(), WriteError>;
}

/// The role of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObjectRole {
    /// A blob with file content, named by its digest.
    Blob,
    /// The names and metadata of an image, which refer to the blobs.
    Bootstrap,
    /// A layer, which is self-contained.
    Layer,
    /// The table of contents of a layer, apart from it.
    Toc,
}

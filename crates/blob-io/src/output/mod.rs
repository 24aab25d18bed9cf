//! Where what is made goes.

mod directory;
mod memory;
mod single;

use std::io::Write;

use crate::{WriteError, Written};

pub use directory::DirectoryOutput;
pub use memory::{MemoryOutput, StoredObject};
pub use single::{FileOutput, SingleOutput, WriterOutput};

/// Takes the objects of something that is made: a bootstrap and its blob, a layer.
///
/// Objects are written one after the other, each from front to end. An object gets its name when it is
/// finished; one that is dropped before that leaves nothing. The whole appears when it is
/// [committed](Self::commit), which is the last thing that whoever writes it does; an output that is
/// dropped before that leaves nothing either, as far as that is in its power.
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
    /// [`WriteError`] if it cannot be created; [`WriteError::SingleObject`] where there is one already,
    /// and no room for more.
    fn begin(&mut self, role: ObjectRole) -> Result<Box<dyn ObjectWriter + '_>, WriteError>;

    /// Whether it takes one object and no more, so that what consists of several is not even begun.
    fn is_single(&self) -> bool {
        false
    }

    /// Makes what was finished appear. Called once, and nothing after it.
    ///
    /// # Errors
    /// [`WriteError`]; nothing is left then.
    fn commit(&mut self) -> Result<(), WriteError>;
}

/// An object on its way to an [`Output`]. What is written to it is not buffered.
pub trait ObjectWriter: Write {
    /// Completes the object, which is `written`: its digest is its name, where it is called by that.
    ///
    /// # Errors
    /// [`WriteError`] if it cannot be given its name.
    fn finish(self: Box<Self>, written: &Written) -> Result<(), WriteError>;
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObjectRole {
    /// A blob with the content of files, called by its digest.
    Blob,
    /// What leads to the blobs: the names and metadata of an image.
    Bootstrap,
    /// A layer, which needs nothing else.
    Layer,
}

//! Layers on their way to an output.

use std::io::{self, Write as _};

use blob_io::{ObjectRole, Output, Written};
use image_model::Digest;
use verify::Hasher;

use crate::ConvertError;
use crate::object::DigestedObject;

/// Writes a layer from front to end, and digests it and the tar in it.
pub(crate) struct LayerWriter<'o> {
    out: DigestedObject<'o>,
    /// Of the tar; `None` if the layer is the tar.
    tar: Option<Hasher>,
}

/// A layer that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrittenLayer {
    /// The layer as it was written.
    pub(crate) blob: Written,
    /// Of the tar in it.
    pub(crate) diff_id: Digest,
}

impl<'o> LayerWriter<'o> {
    /// A layer that goes to `output`; whether it is `compressed`.
    pub(crate) fn begin(
        output: &'o mut dyn Output,
        compressed: bool,
    ) -> Result<Self, ConvertError> {
        Ok(Self {
            out: DigestedObject::begin(output, ObjectRole::Layer)?,
            tar: compressed.then(Hasher::sha256),
        })
    }

    /// Writes `stored`, which is `plain` in the tar.
    pub(crate) fn write(&mut self, plain: &[u8], stored: &[u8]) -> io::Result<()> {
        if let Some(tar) = &mut self.tar {
            tar.update(plain);
        }
        self.out.write_all(stored)
    }

    /// Completes the layer.
    pub(crate) fn finish(self) -> Result<WrittenLayer, ConvertError> {
        let blob = self.out.finish()?;
        Ok(WrittenLayer {
            blob,
            diff_id: self.tar.map_or(blob.digest, Hasher::finish),
        })
    }
}

//! Loading what a blob says of its chunks, without doing I/O.

use std::ops::Range;

use bytes::Bytes;
use frame_codec::Decoder;
use image_model::{BlobIndex, Limits, Need, Object, Step, StepMachine, XtsKey};

use super::encrypted::decrypted;
use super::error::{BlobError, check_given};
use super::header::CiHeader;
use super::meta::BlobMeta;
use super::sections::Sections;
use crate::v6::BlobEntry;

/// Loads the [`BlobMeta`] of a blob: one range of it, which the blob table names.
#[derive(Debug, Clone)]
pub struct LoadMeta {
    object: Object,
    blob: BlobEntry,
    range: Range<u64>,
    limits: Limits,
}

impl LoadMeta {
    /// Starts on `blob`, which is the file that is opened.
    ///
    /// # Errors
    /// Those of [`BlobMeta::range`].
    pub fn new(blob: &BlobEntry, limits: &Limits) -> Result<Self, BlobError> {
        Ok(Self {
            object: Object::Opened,
            range: BlobMeta::range(blob, limits)?,
            blob: blob.clone(),
            limits: limits.clone(),
        })
    }

    /// Asks for bytes of the file that describes blob number `index` instead of the file that is opened.
    #[must_use]
    pub fn beside(mut self, index: BlobIndex) -> Self {
        self.object = Object::Beside(index);
        self
    }

    /// Asks for bytes of the blob number `index` instead of the file that is opened.
    #[must_use]
    pub fn in_blob(mut self, index: BlobIndex) -> Self {
        self.object = Object::Blob(index);
        self
    }
}

impl StepMachine for LoadMeta {
    type Found = BlobMeta;
    type Error = BlobError;

    fn start(&mut self) -> Result<Step<BlobMeta>, BlobError> {
        Ok(Step::Need(Need {
            object: self.object,
            range: self.range.clone(),
        }))
    }

    /// # Errors
    /// Those of [`BlobMeta::decode`].
    fn supply(&mut self, bytes: Bytes) -> Result<Step<BlobMeta>, BlobError> {
        let meta = BlobMeta::decode(&self.blob, &bytes, &mut Decoder::new(), &self.limits)?;
        Ok(Step::Done(meta))
    }
}

/// Loads the header of the chunk information of a blob that is the file that is opened, and of which
/// only the [`Sections`] are known. With it, [`Sections::entry`] says what a blob table would.
///
/// Strict, as finding the sections is: bytes that no writer sets are refused.
#[derive(Debug, Clone)]
pub struct LoadCiHeader {
    range: Range<u64>,
    key: Option<XtsKey>,
}

impl LoadCiHeader {
    /// Starts on the blob with these sections; `None` if it has no chunk information.
    #[must_use]
    pub fn new(sections: &Sections) -> Option<Self> {
        let range = sections.chunk_info_header()?;
        Some(Self { range, key: None })
    }

    /// The same of a blob that is encrypted with `key`, if there is one.
    #[must_use]
    pub fn encrypted(self, key: Option<XtsKey>) -> Self {
        Self { key, ..self }
    }
}

impl StepMachine for LoadCiHeader {
    type Found = CiHeader;
    type Error = BlobError;

    fn start(&mut self) -> Result<Step<CiHeader>, BlobError> {
        Ok(Step::Need(Need::opened(self.range.clone())))
    }

    /// # Errors
    /// [`BlobError::Given`] if it has another length than requested; [`BlobError::Reserved`],
    /// [`BlobError::Contexts`] and those of [`CiHeader::from_bytes`].
    fn supply(&mut self, bytes: Bytes) -> Result<Step<CiHeader>, BlobError> {
        let structure = "header of the chunk information";
        let expected = self.range.end.saturating_sub(self.range.start);
        check_given(structure, expected, &bytes)?;
        let bytes = decrypted(self.key.as_ref(), structure, &bytes)?;
        let raw = bytes.first_chunk().expect("as many were asked for");
        let header = CiHeader::from_bytes(raw)?;
        if header.to_bytes() != *raw {
            return Err(BlobError::Reserved { structure });
        }
        header.check_contexts()?;
        Ok(Step::Done(header))
    }
}

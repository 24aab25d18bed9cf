//! The memory and the work that a zTOC may take when decoded: tables and strings can be shared, so its length does not bound it.

use image_model::Limits;
use image_model::width::u64_from;

use crate::error::ZtocError;

pub(crate) struct Budget {
    left: u64,
    limit: u64,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        let limit = limits.max_metadata_len;
        Self { left: limit, limit }
    }

    /// Takes `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> Result<(), ZtocError> {
        match self.left.checked_sub(u64_from(len)) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(ZtocError::Limit {
                what: "bytes of metadata",
                limit: self.limit,
            }),
        }
    }
}

//! Whether two files have the same bytes.

use image_model::{Image, Ino, Progress};
use verify::ExtentBytes;

use crate::content::{FileExtents, PieceBytes, ReadError, ReadPlan, ReadStep, Want, answer};
use crate::reader::Reader;

/// Whether the file `left` of one image has the same bytes as the file `right` of another; both are verified. Holes are
/// compared as holes, at no cost, however long. `progress` counts the equal bytes so far.
///
/// # Errors
/// [`ReadError`] if one of them cannot be read; [`ReadError::Cancelled`] if `progress` says so.
pub fn same_bytes(
    (left, left_ino): (&Reader, Ino),
    (right, right_ino): (&Reader, Ino),
    progress: &mut dyn Progress,
) -> Result<bool, ReadError> {
    let mut same_len = 0u64;
    let mut left = Bytes::of(left, left_ino)?;
    let mut right = Bytes::of(right, right_ino)?;
    loop {
        let (a, b) = (left.peek()?, right.peek()?);
        let (Some(a), Some(b)) = (a, b) else {
            return Ok(a.is_none() && b.is_none());
        };
        let len = a.len().min(b.len());
        let same = match (a, b) {
            (ExtentBytes::Zeros(_), ExtentBytes::Zeros(_)) => true,
            (ExtentBytes::Data(a), ExtentBytes::Data(b)) => a[..len as usize] == b[..len as usize],
            (ExtentBytes::Zeros(_), ExtentBytes::Data(data))
            | (ExtentBytes::Data(data), ExtentBytes::Zeros(_)) => {
                data[..len as usize].iter().all(|&byte| byte == 0)
            }
        };
        if !same {
            return Ok(false);
        }
        left.skip(len);
        right.skip(len);
        same_len = same_len.saturating_add(len);
        progress.advance(same_len, None)?;
    }
}

/// The bytes of a file, as they come.
struct Bytes<'a> {
    reader: &'a Reader,
    plan: ReadPlan<'a, FileExtents<'a, dyn Image + Send + Sync>, dyn Image + Send + Sync>,
    piece: Option<PieceBytes>,
    /// Number of bytes of the piece that have been compared.
    skipped: u64,
}

impl<'a> Bytes<'a> {
    fn of(reader: &'a Reader, ino: Ino) -> Result<Self, ReadError> {
        let wants = FileExtents::new(&**reader.image(), ino, 0..u64::MAX, 0)?;
        Ok(Self {
            reader,
            plan: reader.plan(wants),
            piece: None,
            skipped: 0,
        })
    }

    /// What comes next; `None` at the end.
    fn peek(&mut self) -> Result<Option<ExtentBytes<'_>>, ReadError> {
        let through = |piece: &PieceBytes| self.skipped >= piece.as_ref().len();
        if self.piece.as_ref().is_none_or(through) {
            self.skipped = 0;
            self.piece = self.next_piece()?;
        }
        Ok(self.piece.as_ref().map(|piece| match piece.as_ref() {
            ExtentBytes::Zeros(len) => ExtentBytes::Zeros(len - self.skipped),
            ExtentBytes::Data(data) => ExtentBytes::Data(&data[self.skipped as usize..]),
        }))
    }

    fn skip(&mut self, len: u64) {
        self.skipped += len;
    }

    fn next_piece(&mut self) -> Result<Option<PieceBytes>, ReadError> {
        next_piece(&mut self.plan, self.reader)
    }
}

/// Drives `plan` to its next piece, on this thread.
fn next_piece<W>(
    plan: &mut ReadPlan<'_, W, dyn Image + Send + Sync>,
    reader: &Reader,
) -> Result<Option<PieceBytes>, ReadError>
where
    W: Iterator<Item = Result<Want, ReadError>>,
{
    loop {
        match plan.step()? {
            ReadStep::Need(ranges) => {
                for range in ranges {
                    answer(plan, reader.blobs(), reader.frames(), &range)?;
                }
            }
            ReadStep::Work(job) => plan.complete(job.run()),
            ReadStep::Ready(piece) => return piece.bytes.map(Some),
            ReadStep::Wait => plan.wait(),
            ReadStep::Done => return Ok(None),
        }
    }
}

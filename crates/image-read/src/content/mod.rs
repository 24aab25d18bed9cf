//! The content engine: the only code that reads content.
//!
//! ```text
//! files -FileExtents-> wants -ReadPlan-> what is missing, near frames in one range
//!       -BlobStore, ReadAt-> stored bytes -Job (any thread)-> decoded, verified
//!       -FrameStore (shared)-> pieces, in the order of the wants
//! ```
//! Reading a range, digests, audits, unpacking and conversions are sequences of wants; nothing else reads bytes by
//! extents.

mod buffers;
mod decoded;
mod drive;
mod error;
mod frames;
mod incoming;
mod job;
mod piece;
mod plan;
mod uses;
mod want;

pub(crate) use drive::{answer, drive};
pub use error::{FrameError, ReadError};
pub use frames::FrameStore;
pub use incoming::StoredRange;
pub use job::{Job, JobDone};
pub use piece::{Piece, PieceBytes};
pub use plan::{ReadPlan, ReadStep};
pub(crate) use uses::{FrameUses, Volume};
pub(crate) use want::with_shared_frame;
pub use want::{FileExtents, Want};

//! What a plan knows of pieces and frames on their way.

use std::sync::Arc;

use image_model::{Frame, FrameId, Recipe};

use crate::content::decoded::{ChunkCheck, DecodedFrame};
use crate::content::error::{FrameError, ReadError};
use crate::content::frames::Flight;
use crate::content::incoming::Target;
use crate::content::job::WrongChunks;
use crate::content::want::Want;

/// What a kept frame counts at least: how many are kept is bounded, too.
const MIN_KEPT_COST: u64 = 1 << 10;

/// A piece on its way.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) want: Want,
    pub(super) source: Source,
}

impl Item {
    /// The frame that holds it.
    pub(super) fn frame(&self) -> Option<FrameId> {
        match self.source {
            Source::Chunk(frame, _) => Some(frame),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(super) enum Source {
    Zeros,
    Chunk(FrameId, ChunkCheck),
    Plain(u64),
    Failed(ReadError),
}

/// A frame that is needed.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) frame: Frame,
    pub(super) recipe: Recipe,
    /// Items of the window that need it.
    pub(super) users: u32,
    /// Its number among the kept, if it is one.
    pub(super) kept: Option<u64>,
    /// Chunks to verify when it is decoded.
    pub(super) checks: Vec<ChunkCheck>,
    /// Whether it passes by: no more chunks can be verified.
    pub(super) passing: bool,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    /// Not completely requested.
    Wanted,
    /// Its stored bytes are to come.
    Asked,
    /// It is in a job.
    Working(Arc<Flight>),
    /// Another reader is at work on it.
    Elsewhere(Arc<Flight>),
    Ready(Arc<DecodedFrame>, WrongChunks),
    /// It has passed by.
    Checked(WrongChunks),
    Failed(Arc<FrameError>),
}

/// How far the first item is.
pub(super) enum Head {
    Nothing,
    Ready,
    /// Its bytes have not been requested.
    Wanted(Target),
    Asked,
    Working(FrameId, Arc<Flight>),
    Elsewhere(FrameId, Arc<Flight>),
}

impl Active {
    /// Bytes that it keeps in memory, at most.
    pub(super) fn cost(&self) -> u64 {
        self.frame.len.max(self.frame.stored_len).into()
    }

    /// What it counts among the kept.
    pub(super) fn kept_cost(&self) -> u64 {
        self.cost().max(MIN_KEPT_COST)
    }
}

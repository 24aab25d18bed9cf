//! Frames with the C library.

use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::super::Corruption;
use super::super::error::Found;
use super::super::step::Buffers;
use super::blocks::Blocks;
use super::{FrameHeader, MAX_WINDOW};

pub(super) struct Libzstd {
    context: DCtx<'static>,
    /// Of the frame that was begun.
    blocks: Blocks,
}

impl Libzstd {
    pub(super) fn new() -> Self {
        let mut context = DCtx::create();
        context
            .set_parameter(DParameter::WindowLogMax(MAX_WINDOW.ilog2()))
            .expect("the window is between zstd's bounds");
        Self {
            context,
            blocks: Blocks::default(),
        }
    }

    /// Takes the header of a frame, which is all there is in `bytes`.
    pub(super) fn begin(&mut self, header: &FrameHeader, bytes: &[u8]) -> Result<(), Found> {
        self.blocks = Blocks::of(header);
        let mut buffers = Buffers::new(bytes, &mut []);
        self.step(&mut buffers)?;
        if buffers.rest().is_empty() {
            Ok(())
        } else {
            Err(corrupt("a header is not taken"))
        }
    }

    /// Continues with a frame; returns whether it has ended.
    pub(super) fn decode(&mut self, buffers: &mut Buffers<'_>) -> Result<bool, Found> {
        while !buffers.room().is_empty() {
            let before = buffers.step;
            if self.step(buffers)? {
                return Ok(true);
            }
            if buffers.step == before || buffers.rest().is_empty() {
                break;
            }
        }
        Ok(false)
    }

    fn step(&mut self, buffers: &mut Buffers<'_>) -> Result<bool, Found> {
        let rest = buffers.rest();
        let mut input = InBuffer::around(rest);
        let mut output = OutBuffer::around(buffers.room());
        let result = self.context.decompress_stream(&mut output, &mut input);
        let (taken, written) = (input.pos(), output.pos());
        buffers.take(taken);
        buffers.write(written);
        self.blocks.follow(&rest[..taken])?;
        match result {
            Ok(due) => Ok(due == 0),
            Err(code) => Err(corrupt(get_error_name(code))),
        }
    }
}

fn corrupt(message: &str) -> Found {
    let message = message.to_owned();
    Corruption::Zstd { message }.into()
}

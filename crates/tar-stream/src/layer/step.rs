//! One step of a decoder: how far it got in its input and its output.

/// How far [`LayerDecoder::decode`](super::LayerDecoder::decode) got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Bytes of the input that were consumed; do not pass them again.
    pub taken: usize,
    /// Length of the output that were written, in bytes.
    pub written: usize,
}

/// Input and output of a step, and its progress.
pub(super) struct Buffers<'a> {
    input: &'a [u8],
    output: &'a mut [u8],
    pub(super) step: Step,
}

impl<'a> Buffers<'a> {
    pub(super) fn new(input: &'a [u8], output: &'a mut [u8]) -> Self {
        Self {
            input,
            output,
            step: Step::default(),
        }
    }

    /// Input not consumed yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.input[self.step.taken..]
    }

    /// Output not written yet.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.output[self.step.written..]
    }

    pub(super) fn take(&mut self, len: usize) {
        self.step.taken = self.step.taken.saturating_add(len);
    }

    pub(super) fn write(&mut self, len: usize) {
        self.step.written = self.step.written.saturating_add(len);
    }

    /// Moves bytes to `held` until there are `len`; returns whether there are.
    pub(super) fn hold(&mut self, held: &mut [u8], have: &mut usize, len: usize) -> bool {
        let rest = self.rest();
        let step = len.saturating_sub(*have).min(rest.len());
        let end = have.saturating_add(step);
        held[*have..end].copy_from_slice(&rest[..step]);
        *have = end;
        self.take(step);
        end >= len
    }

    /// The bytes consumed and written.
    pub(super) fn done(&self) -> (&[u8], &[u8]) {
        (
            &self.input[..self.step.taken],
            &self.output[..self.step.written],
        )
    }
}

/// Where a decoder is when the input ends.
pub(super) enum Begun {
    /// After a member or frame.
    Nothing,
    /// After the last member or frame, and `held` bytes that might have begun another.
    #[cfg_attr(
        not(any(feature = "gzip", feature = "zstd", feature = "ruzstd")),
        expect(dead_code, reason = "without decoders nothing begins")
    )]
    Magic { held: usize },
    /// Inside a member or frame.
    #[cfg_attr(
        not(any(feature = "gzip", feature = "zstd", feature = "ruzstd")),
        expect(dead_code, reason = "without decoders nothing begins")
    )]
    Unit,
}

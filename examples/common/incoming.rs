//! Input from stdin or a pipe.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use super::interrupt::Interruptible;

const PIECE_LEN: usize = 256 << 10;

/// How long a signal may go unnoticed while no data arrives.
const PATIENCE: Duration = Duration::from_millis(100);

/// A reader that a signal can interrupt even while it waits for data.
pub struct Incoming {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
    interruptible: Interruptible,
}

impl Incoming {
    /// Reads `source` on a thread of its own, a few pieces ahead.
    pub fn new(mut source: impl Read + Send + 'static) -> io::Result<Self> {
        let (send, pieces) = sync_channel(2);
        thread::Builder::new().spawn(move || {
            loop {
                let mut piece = Vec::with_capacity(PIECE_LEN);
                let mut next = source.by_ref().take(PIECE_LEN as u64);
                let piece = next.read_to_end(&mut piece).map(|_| piece);
                let last = piece.as_ref().map_or(true, Vec::is_empty);
                if send.send(piece).is_err() || last {
                    return;
                }
            }
        })?;
        Ok(Self {
            pieces,
            piece: io::Cursor::default(),
            interruptible: Interruptible::new(),
        })
    }
}

impl Read for Incoming {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let len = self.piece.read(buf)?;
            if len > 0 || buf.is_empty() {
                return Ok(len);
            }
            match self.pieces.recv_timeout(PATIENCE) {
                Ok(piece) => {
                    let piece = piece?;
                    if piece.is_empty() {
                        return Ok(0);
                    }
                    self.piece = io::Cursor::new(piece);
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) => {
                    self.interruptible.check().map_err(io::Error::other)?;
                }
            }
        }
    }
}

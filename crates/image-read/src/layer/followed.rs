//! A layer whose digest another thread computes while it is read.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use image_model::Digest;
use verify::Hasher;

/// Bytes that are digested at once, at least, but for the last ones.
const PIECE: usize = 128 << 10;
/// Pieces that wait for the thread, at most.
const WAITING: usize = 8;

/// Reads `source`, and digests all that it gives.
pub(super) struct Followed<'s, R> {
    source: R,
    digest: Follower<'s>,
}

impl<'s, R> Followed<'s, R> {
    /// Reads `source`; a thread of `scope` digests it, or the caller's if there is no other.
    pub(super) fn new<'e>(source: R, scope: &'s Scope<'s, 'e>) -> Self {
        let there = Follower::there(scope);
        Self {
            source,
            digest: there.unwrap_or_else(|| Follower::Here(Hasher::sha256())),
        }
    }

    /// The digest of what was read.
    pub(super) fn finish(self) -> Digest {
        self.digest.finish()
    }
}

impl<R: Read> Read for Followed<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buf)?;
        self.digest.update(&buf[..read]);
        Ok(read)
    }
}

/// A digest that is computed here, or on a thread of its own.
enum Follower<'s> {
    Here(Hasher),
    There {
        /// What is gathered for the thread.
        piece: Vec<u8>,
        pieces: SyncSender<Vec<u8>>,
        /// Pieces that were digested, whose memory is used again.
        spare: Receiver<Vec<u8>>,
        thread: ScopedJoinHandle<'s, Hasher>,
    },
}

impl<'s> Follower<'s> {
    /// A digest on a thread of `scope`; `None` if that cannot be started.
    fn there<'e>(scope: &'s Scope<'s, 'e>) -> Option<Self> {
        let (pieces, taken) = sync_channel::<Vec<u8>>(WAITING);
        let (digested, spare) = channel();
        let work = move || {
            let mut hasher = Hasher::sha256();
            for mut piece in taken {
                hasher.update(&piece);
                piece.clear();
                // If nothing more is read, nobody needs it.
                drop(digested.send(piece));
            }
            hasher
        };
        let thread = Builder::new().spawn_scoped(scope, work).ok()?;
        Some(Self::There {
            piece: Vec::with_capacity(PIECE),
            pieces,
            spare,
            thread,
        })
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Here(hasher) => hasher.update(bytes),
            Self::There {
                piece,
                pieces,
                spare,
                ..
            } => {
                piece.extend_from_slice(bytes);
                if piece.len() >= PIECE {
                    let next = spare.try_recv();
                    let next = next.unwrap_or_else(|_| Vec::with_capacity(PIECE));
                    // A thread that has ended has panicked, which `join` reports.
                    drop(pieces.send(std::mem::replace(piece, next)));
                }
            }
        }
    }

    fn finish(self) -> Digest {
        let hasher = match self {
            Self::Here(hasher) => hasher,
            Self::There {
                piece,
                pieces,
                thread,
                ..
            } => {
                drop(pieces.send(piece));
                drop(pieces);
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
        };
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives few bytes at once.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let len = buf.len().min(self.1);
            self.0.read(&mut buf[..len])
        }
    }

    #[test]
    fn all_that_is_read_is_digested() {
        let bytes = (0..3_000_000_u32)
            .map(|n| (n ^ n >> 9) as u8)
            .collect::<Vec<_>>();
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, bytes.len()] {
            for at_once in [7_001, PIECE, 400_000] {
                let source = Slow(&bytes[..len], at_once);
                let digest = std::thread::scope(|scope| {
                    let mut followed = Followed::new(source, scope);
                    let read = io::copy(&mut followed, &mut io::sink());
                    assert_eq!(read.expect("no I/O"), len as u64);
                    followed.finish()
                });
                assert_eq!(digest, verify::sha256(&bytes[..len]));
            }
        }
    }

    #[test]
    fn without_a_thread_it_is_digested_here() {
        let mut followed = Followed {
            source: Slow(b"lazy", 3),
            digest: Follower::Here(Hasher::sha256()),
        };
        let read = io::copy(&mut followed, &mut io::sink());
        assert_eq!(read.expect("no I/O"), 4);
        assert_eq!(followed.finish(), verify::sha256(b"lazy"));
    }
}

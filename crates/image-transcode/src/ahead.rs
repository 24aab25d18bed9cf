//! Fetching layers ahead.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// Length of a piece.
const PIECE: usize = 256 << 10;
/// Pieces under way.
const PIECES: usize = 32;

/// A part of what is fetched of the layer at a position.
struct Fetched {
    layer: usize,
    /// Empty at the end of the layer.
    piece: io::Result<Vec<u8>>,
}

/// Fetches layers on a thread of its own, one after the other, at most 8 MiB ahead of what reads them.
pub(crate) struct Fetcher(SyncSender<Fetched>);

/// What reads the layers that a [`Fetcher`] fetches; dropped, with all readers, it ends the thread.
pub(crate) struct Ahead(Arc<Mutex<Receiver<Fetched>>>);

/// A fetcher, and what reads its layers.
pub(crate) fn ahead() -> (Fetcher, Ahead) {
    let (sender, receiver) = sync_channel(PIECES);
    (Fetcher(sender), Ahead(Arc::new(Mutex::new(receiver))))
}

impl Fetcher {
    /// Reads the layers at `positions` to their ends. What reads them has to do so in the same order.
    pub(crate) fn fetch<R: Read>(
        self,
        positions: impl IntoIterator<Item = usize>,
        mut open: impl FnMut(usize) -> io::Result<R>,
    ) {
        for layer in positions {
            let sent = match open(layer) {
                Ok(source) => self.send_all(layer, source),
                Err(error) => self.send(layer, Err(error)),
            };
            if sent.is_none() {
                return;
            }
        }
    }

    fn send_all(&self, layer: usize, mut source: impl Read) -> Option<()> {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let read = source.by_ref().take(PIECE as u64).read_to_end(&mut piece);
            if !piece.is_empty() {
                self.send(layer, Ok(piece))?;
            }
            match read {
                Ok(0) => return self.send(layer, Ok(Vec::new())),
                Ok(_) => {}
                // A reader that goes on after a failure gets the next answer of the source.
                Err(error) => self.send(layer, Err(error))?,
            }
        }
    }

    /// `None` if nobody reads any more.
    fn send(&self, layer: usize, piece: io::Result<Vec<u8>>) -> Option<()> {
        self.0.send(Fetched { layer, piece }).ok()
    }
}

impl Ahead {
    /// The bytes of the layer at that position.
    pub(crate) fn layer(&self, position: usize) -> impl Read + use<> {
        Layer {
            fetched: Arc::clone(&self.0),
            position,
            piece: io::Cursor::default(),
            ended: false,
        }
    }
}

struct Layer {
    fetched: Arc<Mutex<Receiver<Fetched>>>,
    position: usize,
    piece: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl Read for Layer {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let len = self.piece.read(buf)?;
            if len > 0 || self.ended || buf.is_empty() {
                return Ok(len);
            }
            let next = self.fetched.lock();
            let next = next.unwrap_or_else(PoisonError::into_inner).recv();
            let gone = |_| io::Error::other("the thread that fetches layers has ended");
            let Fetched { layer, piece } = next.map_err(gone)?;
            // The rest of a lower layer that was not read to its end.
            if layer != self.position {
                continue;
            }
            self.piece = io::Cursor::new(piece?);
            self.ended = self.piece.get_ref().is_empty();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};
    use std::thread;

    use super::{PIECE, PIECES, ahead};

    /// The layer of that number: some length, and a byte of its own.
    fn layer(number: usize) -> Vec<u8> {
        vec![number as u8; [0, 1, PIECE, PIECE + 1, PIECE * (PIECES + 5)][number]]
    }

    #[test]
    fn layers_are_read_as_they_are() {
        let (fetcher, ahead) = ahead();
        let layers: Vec<_> = (0..5).map(|number| ahead.layer(number)).collect();
        drop(ahead);
        thread::scope(|scope| {
            scope.spawn(|| fetcher.fetch(0..5, |number| Ok(io::Cursor::new(layer(number)))));
            for (number, mut read) in layers.into_iter().enumerate() {
                let mut found = Vec::new();
                read.read_to_end(&mut found).unwrap();
                assert!(found == layer(number), "{number}");
                // It stays at its end.
                assert_eq!(read.read(&mut [0; 8]).unwrap(), 0);
            }
        });
    }

    #[test]
    fn what_is_not_read_is_skipped() {
        let (fetcher, ahead) = ahead();
        let (mut lower, mut upper) = (ahead.layer(4), ahead.layer(3));
        drop(ahead);
        thread::scope(|scope| {
            scope.spawn(|| fetcher.fetch([4, 3], |number| Ok(io::Cursor::new(layer(number)))));
            lower.read_exact(&mut [0; 10]).unwrap();
            drop(lower);
            let mut found = Vec::new();
            upper.read_to_end(&mut found).unwrap();
            assert!(found == layer(3));
        });
    }

    /// Fails on every read, and counts.
    struct Failing(usize);

    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            Err(io::Error::other(format!("failure {}", self.0)))
        }
    }

    #[test]
    fn failures_are_repeated_and_readers_that_leave_end_the_thread() {
        let (fetcher, ahead) = ahead();
        let mut failing = ahead.layer(0);
        drop(ahead);
        thread::scope(|scope| {
            scope.spawn(|| fetcher.fetch([0], |_| Ok(Failing(0))));
            for number in 1..=3 {
                let error = failing.read(&mut [0; 8]).unwrap_err();
                assert_eq!(error.to_string(), format!("failure {number}"));
            }
            drop(failing);
        });
    }

    #[test]
    fn a_layer_that_cannot_be_opened_fails_when_it_is_read() {
        let (fetcher, ahead) = ahead();
        let mut missing = ahead.layer(0);
        drop(ahead);
        thread::scope(|scope| {
            let refuse = |_| Err::<io::Empty, _>(io::Error::other("no layer"));
            scope.spawn(move || fetcher.fetch([0], refuse));
            let error = missing.read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.to_string(), "no layer");
            // Nothing follows.
            assert!(missing.read(&mut [0; 8]).is_err());
        });
    }
}

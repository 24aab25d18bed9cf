//! The stream over sources of tokio's.
#![cfg(all(feature = "gzip", any(feature = "zstd", feature = "ruzstd")))]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use ::tokio::runtime::Builder;
use image_model::Limits;
use lazyoci_tar_stream::{Compression, LayerError, LayerStream, StreamOptions};

use crate::machine::{estargz_shaped, gzip, zstd};
use crate::tape::Tape;

/// Gives a few bytes at a time, and before each none.
struct Slow<'a> {
    bytes: &'a [u8],
    piece: usize,
    pending: bool,
}

impl<'a> Slow<'a> {
    fn new(bytes: &'a [u8], piece: usize) -> Self {
        let pending = false;
        Self {
            bytes,
            piece,
            pending,
        }
    }
}

impl AsyncRead for Slow<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.pending = !self.pending;
        if self.pending {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let len = self.piece.min(buf.remaining()).min(self.bytes.len());
        let (piece, rest) = self.bytes.split_at(len);
        buf.put_slice(piece);
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn layers_are_read_whole_whatever_the_pieces() {
    let content = b"lazy pulling ".repeat(60_000);
    let tar = Tape::new().file("a", b"hello").file("b", &content).end();
    for (compression, layer) in [
        (Compression::None, tar.clone()),
        (Compression::Gzip, estargz_shaped(&tar)),
        (
            Compression::Zstd,
            [zstd(&tar[..9000]), zstd(&tar[9000..])].concat(),
        ),
    ] {
        for (piece, room) in [(100, 1 << 16), (1 << 20, 1 << 20), (7000, 333)] {
            let (decoded, stream) = block_on(async {
                let source = Slow::new(&layer, piece);
                let mut stream = LayerStream::new(source, &StreamOptions::default());
                assert_eq!(stream.compression(), None);
                let (mut decoded, mut output) = (Vec::new(), vec![0; room]);
                loop {
                    match stream.read(&mut output).await.unwrap() {
                        0 => return (decoded, stream),
                        len => decoded.extend_from_slice(&output[..len]),
                    }
                }
            });
            assert!(decoded == tar, "{compression}: {piece}, {room}");
            assert_eq!(stream.summary().unwrap().compression, compression);
            assert!(stream.into_inner().bytes.is_empty());
        }
    }
}

#[test]
fn errors_are_the_layers_own() {
    let layer = gzip(&[0; 5000]);
    let read = |layer: &[u8], options: &StreamOptions| {
        let source = Slow::new(layer, 11);
        let mut stream = LayerStream::new(source, options);
        let error = block_on(async { stream.read_to_end(&mut Vec::new()).await.unwrap_err() });
        error.downcast::<LayerError>().unwrap()
    };
    let options = StreamOptions::default();
    let cut = read(&layer[..layer.len() - 1], &options);
    assert!(
        matches!(cut, LayerError::Cut { decoded: 5000, .. }),
        "{cut:?}"
    );
    let mut limits = Limits::small();
    limits.max_layer_len = 4999;
    let large = read(&layer, &options.limits(limits));
    assert!(
        matches!(large, LayerError::TooLarge { limit: 4999 }),
        "{large:?}"
    );
    let other = read(b"BZh91AY&SY", &StreamOptions::default());
    assert!(matches!(other, LayerError::Unsupported { .. }), "{other:?}");
}

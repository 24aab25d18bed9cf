//! A layer as a stream over a tokio source.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::LayerStream;

/// Like [`Read`](std::io::Read) over a blocking source. Decoding runs in the polling task: up to
/// 128 KiB of the layer at a time.
impl<R: AsyncRead + Unpin> AsyncRead for LayerStream<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &mut *self;
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let output = buf.initialize_unfilled();
            let step = stream.decoder.decode(stream.buffer.at_hand(), output)?;
            stream.buffer.take(step.taken);
            let written = match step.written {
                0 if stream.ended => stream.decoder.finish(output)?,
                written => written,
            };
            if written > 0 || stream.ended {
                buf.advance(written);
                return Poll::Ready(Ok(()));
            }
            let mut free = ReadBuf::new(stream.buffer.free());
            ready!(Pin::new(&mut stream.source).poll_read(context, &mut free))?;
            let read = free.filled().len();
            stream.buffer.put(read);
            stream.ended = read == 0;
        }
    }
}

//! Members written by zlib-rs.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::{header, trailer};
use crate::CodecError;

pub(crate) struct Compressor {
    deflate: Compress,
    level: u32,
}

impl Compressor {
    pub(crate) fn new(level: u32) -> Result<Self, CodecError> {
        if level <= 9 {
            Ok(Self {
                deflate: Compress::new(Compression::new(level), false),
                level,
            })
        } else {
            Err(CodecError::Level {
                compression: crate::Compression::Gzip { level },
                min: 0,
                max: 9,
            })
        }
    }

    pub(crate) fn compress(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        let level = self.level;
        out.reserve(crate::Compression::Gzip { level }.max_frame_len(plain.len()));
        out.extend_from_slice(&header::write(level));
        self.deflate.reset();
        let mut consumed = 0;
        loop {
            let before = self.deflate.total_in();
            let status = self
                .deflate
                .compress_vec(&plain[consumed..], out, FlushCompress::Finish)
                .expect("deflate takes any bytes");
            if status == Status::StreamEnd {
                break;
            }
            consumed += (self.deflate.total_in() - before) as usize;
            out.reserve(4096);
        }
        let mut crc = Crc::new();
        crc.update(plain);
        out.extend_from_slice(&trailer(crc.sum(), plain));
    }
}

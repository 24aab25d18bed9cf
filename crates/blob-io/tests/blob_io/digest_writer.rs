//! Digesting output.

use std::io::{self, Write};

use lazyoci_blob_io::{DigestWriter, Written};

/// Takes at most three bytes per call, and ten in total.
#[derive(Default)]
struct Narrow(Vec<u8>);

impl Write for Narrow {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(3).min(10 - self.0.len());
        self.0.extend_from_slice(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(bytes: &[u8]) -> Written {
    Written::new(verify::sha256(bytes), bytes.len() as u64)
}

#[test]
fn what_was_written_is_digested() {
    for content in [&b""[..], b"abc", &[7; 100_000]] {
        let mut writer = DigestWriter::new(Vec::new());
        assert!(writer.is_empty());
        for piece in content.chunks(997) {
            writer.write_all(piece).unwrap();
        }
        writer.flush().unwrap();
        assert_eq!(writer.len(), content.len() as u64);
        let (bytes, outcome) = writer.finish();
        assert_eq!(bytes, content);
        assert_eq!(outcome, written(content));
    }
}

#[test]
fn only_what_the_writer_took_counts() {
    let mut writer = DigestWriter::new(Narrow::default());
    assert_eq!(writer.write(b"01234567").unwrap(), 3);
    assert_eq!(writer.len(), 3);
    let (narrow, outcome) = writer.finish();
    assert_eq!(outcome, written(&narrow.0));
}

#[test]
fn errors_pass_through() {
    let mut writer = DigestWriter::new(Narrow::default());
    let error = writer.write_all(&[0; 11]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
}

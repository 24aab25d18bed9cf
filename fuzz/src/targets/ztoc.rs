//! zTOCs: read from any bytes, and built of any layer.

use std::io::Read as _;
use std::sync::Arc;

use lazyoci::blob_io::ReadAt;
use lazyoci::bytes::Bytes;
use lazyoci::model::{Blame as _, Limits};
use lazyoci::read::{LayerImage, LayerImageOptions, LayerIndex, ZtocOptions};
use lazyoci::soci_ztoc::Ztoc;
use lazyoci::tar_stream::{LayerStream, StreamOptions, TarReadOptions};

use super::input::Input;
use super::read_boundaries::{Lengths, Pieced};

/// Reads the bytes as a zTOC. Spans follow one another and files lie in the tar; what is written is read as it was, and is
/// then written the same.
pub fn ztoc(data: &[u8]) {
    let limits = Limits::small();
    let bytes = Bytes::copy_from_slice(data);
    let mut dump = String::new();
    Ztoc::dump(&bytes, &limits, &mut dump).expect("strings take everything");
    let read = match Ztoc::decode(&bytes, &limits) {
        Ok(read) => read,
        Err(error) => {
            assert!(dump.lines().any(|line| line.starts_with('!')), "{dump}");
            let _ = (error.fault(), error.to_string(), Ztoc::detect(&bytes));
            return;
        }
    };
    assert!(dump.lines().all(|line| line.starts_with("0x")), "{dump}");
    let mut end = 0;
    for nth in 0..read.span_count() {
        let span = read.span(nth).expect("they were counted");
        assert_eq!(span.decoded.start, end);
        assert!(span.stored.start <= span.stored.end && span.stored.end <= read.compressed_len);
        end = span.decoded.end;
    }
    assert_eq!(read.span(read.span_count()), None);
    for file in &read.files {
        assert!(file.offset + file.size <= read.uncompressed_len);
        let _ = (file.time(), file.xattrs().count());
    }
    let written = Bytes::from(read.encode().expect("it is short"));
    let again = Ztoc::decode(&written, &limits).expect("it was written by us");
    assert_eq!(again, read);
    assert_eq!(again.encode().expect("it is short"), written);
    // Of a layer of its length that is something else.
    if read.compressed_len <= 1 << 16
        && let Ok(index) = LayerIndex::from_bytes(written, &limits)
    {
        let layer = vec![0x1f; read.compressed_len as usize];
        let layer: Arc<dyn ReadAt> = Arc::new(Bytes::from(layer));
        let options = LayerImageOptions::default()
            .index(index.clone())
            .limits(limits.clone());
        if let Err(error) = LayerImage::open(Arc::clone(&layer), &options) {
            let _ = (error.fault(), error.to_string());
        }
        let compared = index.compare(&layer, &limits, &mut ());
        compared.expect_err("no digest is that of such bytes");
    }
}

/// Builds the zTOC of the bytes as a layer, at once and by pieces: it is found sound, and by it the same tar is read.
pub fn ztoc_build(data: &[u8]) {
    let input = &mut Input::new(data);
    let limits = Limits::small();
    let options = ZtocOptions::default()
        .span_size(u64::from(input.u16()).max(64))
        .threads(1)
        .limits(limits.clone());
    let tar = TarReadOptions::default()
        .lenient(input.flag())
        .limits(limits.clone());
    let lengths = Lengths::take(input);
    let layer = input.rest();
    let built = LayerIndex::build_ztoc(layer, &options, &tar, &mut ());
    let pieced = Pieced {
        bytes: layer,
        lengths,
    };
    let pieced = LayerIndex::build_ztoc(pieced, &options, &tar, &mut ());
    let index = match built {
        Ok(index) => index,
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            pieced.expect_err("pieces change nothing");
            return;
        }
    };
    assert_eq!(
        pieced.expect("pieces change nothing").bytes(),
        index.bytes()
    );
    let index = match LayerIndex::from_bytes(index.bytes().clone(), &limits) {
        Ok(index) => index,
        // Small limits hold for zTOCs, too.
        Err(error) => {
            let _ = (error.fault(), error.to_string());
            return;
        }
    };
    let source: Arc<dyn ReadAt> = Arc::new(Bytes::copy_from_slice(layer));
    index
        .compare(&source, &limits, &mut ())
        .expect("it was built of this layer");
    let mut expected = Vec::new();
    let stream = LayerStream::open(layer, &StreamOptions::from(&limits));
    let mut stream = stream.expect("it was decoded before");
    stream
        .read_to_end(&mut expected)
        .expect("it was decoded before");
    let mut decoded = Vec::new();
    let mut spans = index.stream(&source, 2).expect("it has the right length");
    spans.read_to_end(&mut decoded).expect("spans are sound");
    assert!(decoded.len() as u64 >= index.decoded_len());
    assert!(decoded == expected[..decoded.len()]);
}

//! Layers as bytes: the machine, the stream over it, and both decoders of zstd.

use std::io::Read as _;

use lazyoci::model::{Blame as _, Limits};
use lazyoci::tar_stream::{
    Compression, LayerDecoder, LayerError, LayerStream, LayerSummary, Step, StreamOptions,
    ZstdDecoder,
};
use lazyoci::verify::sha256;

use super::input::Input;
use super::read_boundaries::{Lengths, Pieced};

/// What came out of a layer, and how it ended.
struct Decoded {
    tar: Vec<u8>,
    end: Result<LayerSummary, LayerError>,
}

/// Decodes the bytes as a layer: at once, by pieces of input and output, by reads of any length over a
/// source that gives pieces, and, of zstd, by the other decoder.
pub fn layer_stream(data: &[u8]) {
    let input = &mut Input::new(data);
    let options = StreamOptions::default()
        .limits(Limits::small())
        .digests(true)
        .ignore_trailing(input.flag());
    let lengths = [Lengths::take(input), Lengths::take(input)];
    let layer = input.rest();
    let whole = at_once(layer, &options);
    if let Ok(summary) = &whole.end {
        assert_eq!(summary.stored.len, layer.len() as u64);
        assert_eq!(summary.decoded.len, whole.tar.len() as u64);
        assert_eq!(summary.stored.digest, Some(sha256(layer)));
        assert_eq!(summary.decoded.digest, Some(sha256(&whole.tar)));
        assert!(options.ignore_trailing || summary.trailing == 0);
    }
    same(&whole, &in_pieces(layer, &options, lengths.clone()));
    same(&whole, &by_reads(layer, &options, lengths));
    if Compression::detect(layer) == Compression::Zstd {
        let ruzstd = options.zstd(ZstdDecoder::Ruzstd);
        same(&whole, &at_once(layer, &ruzstd));
    }
}

fn at_once(layer: &[u8], options: &StreamOptions) -> Decoded {
    let mut decoder = LayerDecoder::new(options);
    let mut output = vec![0; 1 << 16];
    let mut tar = Vec::new();
    let mut rest = layer;
    let mut step = || -> Result<bool, LayerError> {
        let step = decoder.decode(rest, &mut output)?;
        rest = &rest[step.taken..];
        let mut written = step.written;
        if step == Step::default() {
            assert!(rest.is_empty(), "input is left where output has room");
            written = decoder.finish(&mut output)?;
        }
        tar.extend_from_slice(&output[..written]);
        Ok(step != Step::default() || written > 0)
    };
    let end = loop {
        match step() {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(error),
        }
    };
    let end = end.map_or_else(|| Ok(decoder.summary().expect("it is finished")), Err);
    Decoded { tar, end }
}

fn in_pieces(layer: &[u8], options: &StreamOptions, lengths: [Lengths; 2]) -> Decoded {
    let [mut inputs, mut outputs] = lengths;
    let mut decoder = LayerDecoder::new(options);
    let mut tar = Vec::new();
    let mut at = 0;
    let mut step = || -> Result<bool, LayerError> {
        let piece = &layer[at..layer.len().min(at + inputs.next())];
        let mut output = vec![0; outputs.next()];
        let written = match piece {
            [] => decoder.finish(&mut output)?,
            piece => {
                let step = decoder.decode(piece, &mut output)?;
                assert_ne!(step, Step::default(), "there is input and room");
                at += step.taken;
                step.written
            }
        };
        tar.extend_from_slice(&output[..written]);
        Ok(!piece.is_empty() || written > 0)
    };
    let end = loop {
        match step() {
            Ok(true) => {}
            Ok(false) => break None,
            Err(error) => break Some(error),
        }
    };
    let end = end.map_or_else(|| Ok(decoder.summary().expect("it is finished")), Err);
    Decoded { tar, end }
}

fn by_reads(layer: &[u8], options: &StreamOptions, lengths: [Lengths; 2]) -> Decoded {
    let [lengths, mut outputs] = lengths;
    let source = Pieced {
        bytes: layer,
        lengths,
    };
    let mut tar = Vec::new();
    let mut stream = match LayerStream::open(source, options) {
        Ok(stream) => stream,
        Err(error) => {
            return Decoded {
                tar,
                end: Err(error),
            };
        }
    };
    let end = loop {
        let mut output = vec![0; outputs.next()];
        match stream.read(&mut output) {
            Ok(0) => break Ok(stream.summary().expect("it is at its end")),
            Ok(read) => tar.extend_from_slice(&output[..read]),
            Err(error) => break Err(error.downcast().expect("only the layer can be wrong")),
        }
    };
    Decoded { tar, end }
}

/// The same bytes and the same end; of two layers that are refused, how much came out before is the
/// decoder's own affair.
fn same(one: &Decoded, other: &Decoded) {
    match (&one.end, &other.end) {
        (Ok(summary), Ok(other_summary)) => {
            assert_eq!(summary, other_summary);
            assert!(one.tar == other.tar, "other bytes");
        }
        (Err(error), Err(other_error)) => {
            let (mut pairs, limit) = (one.tar.iter().zip(&other.tar), Limits::small());
            assert!(pairs.all(|(one, other)| one == other), "other bytes");
            assert!(one.tar.len() as u64 <= limit.max_layer_len);
            let _ = (error.fault(), other_error.to_string());
        }
        (one, other) => panic!("refused or not: {one:?}, {other:?}"),
    }
}

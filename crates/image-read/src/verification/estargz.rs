//! What only eStargz has: landmarks, a tar inside that may say something else, a footer to lose.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use blob_io::{ReadAt, Sequential};
use bytes::{Buf, Bytes};
use estargz_toc::Landmark;
use estargz_toc::compare::{CompareError, CompareOptions, Disagreement, compare};
use estargz_toc::footer::{self, FOOTER_LEN};
use estargz_toc::image::{EstargzImage, LandmarkError};
use estargz_toc::toc::TOC_NAME;
use image_model::Image;
use image_model::advisory::Advisories;
use tar_stream::Compression;
use verify::ExtentBytes;

use super::finding::{Flaw, ImageObject};
use super::report::Report;
use super::sinks::Sinks;
use super::{MAX_FINDINGS, VerifyOptions};
use crate::content::{ReadError, Want};
use crate::detect::Format;
use crate::open::OpenImage;
use crate::reader::Reader;
use crate::resolve::Follow;

/// Pieces of the layer, of 1 MiB at most, that wait to be compared.
const PIECES: usize = 2;

/// With a damaged footer an eStargz layer is a sound tar, but nothing that is verified or lazy any
/// more. Without any it may have been compressed anew, and be a layer like others.
pub(super) fn check_disguise(image: &OpenImage, report: &mut Report<'_>) {
    let has = |name: &str| image.resolve(name, Follow::Never).is_ok();
    let landmarks = [Landmark::Prefetch, Landmark::NoPrefetch];
    if image.format() != Format::Tar(Compression::Gzip)
        || !has(TOC_NAME)
        || !landmarks.iter().any(|landmark| has(landmark.name()))
    {
        return;
    }
    let Some(source) = image.source() else { return };
    match ends_like_estargz(&**source) {
        Ok(true) => report.add(ImageObject::Image, Flaw::Disguise),
        Ok(false) => {}
        Err(error) => report.unread(&ImageObject::Image, error),
    }
}

/// Whether the gzip header of the footer, or its magic, is still there.
fn ends_like_estargz(layer: &dyn ReadAt) -> Result<bool, blob_io::ReadError> {
    let Some(start) = layer.len()?.checked_sub(FOOTER_LEN as u64) else {
        return Ok(false);
    };
    let tail = layer.read_bytes(start, FOOTER_LEN)?;
    let sound = footer::encode(0);
    Ok(tail[..10] == sound[..10] || tail[32..38] == sound[32..38])
}

/// Reads the landmarks, which are not files of the image.
pub(super) fn check_landmarks(toc: &EstargzImage, reader: &Reader, report: &mut Report<'_>) {
    for landmark in toc.landmark_extents() {
        let (landmark, extent) = match landmark {
            Ok(found) => found,
            Err(error) => {
                report.add(ImageObject::Image, Flaw::Landmark(error));
                continue;
            }
        };
        let want = Want {
            tag: 0,
            ino: toc.image.root(),
            extent,
            range: 0..extent.len,
        };
        let mut right = false;
        let wants = std::iter::once(Ok(want));
        let read = reader.drive(reader.plan(wants), &mut |piece| {
            right = matches!(piece.bytes?.as_ref(), ExtentBytes::Data([Landmark::BYTE]));
            Ok::<_, ReadError>(())
        });
        let name = landmark.name();
        match read {
            Ok(()) if right => {}
            Ok(()) => report.add(
                ImageObject::Image,
                Flaw::Landmark(LandmarkError { landmark }),
            ),
            Err(source) => report.add(ImageObject::Image, Flaw::LandmarkContent { name, source }),
        }
    }
}

/// The TOC against the tar inside, which is compared while the layer is read.
pub(super) struct Comparison<'scope> {
    thread: Option<ScopedJoinHandle<'scope, Compared>>,
}

/// What was found.
pub(super) struct Compared {
    disagreements: Vec<Disagreement>,
    untold: u64,
    result: Result<Advisories, CompareError>,
}

impl<'scope> Comparison<'scope> {
    /// Starts to compare what goes to `sinks`. On a machine that starts no thread nothing does, and
    /// the layer is read again in the end.
    pub(super) fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        toc: &'env EstargzImage,
        options: &'env CompareOptions,
        sinks: &mut Sinks,
    ) -> Self {
        let (sender, pieces) = sync_channel(PIECES);
        let work = move || run(toc, Pipe::new(pieces), options);
        let thread = Builder::new().spawn_scoped(scope, work).ok();
        if thread.is_some() {
            sinks.send_to(sender);
        }
        Self { thread }
    }

    /// Tells what was found, now that all of `layer` has gone by; `None` if it has not, which was told.
    pub(super) fn finish(
        self,
        (toc, options): (&EstargzImage, &CompareOptions),
        layer: Option<&dyn ReadAt>,
        report: &mut Report<'_>,
    ) {
        let compared = self.thread.map(ScopedJoinHandle::join);
        let Some(layer) = layer else { return };
        let compared = match compared {
            Some(Ok(compared)) => compared,
            Some(Err(payload)) => std::panic::resume_unwind(payload),
            None => match Sequential::new(layer) {
                Ok(layer) => run(toc, layer, options),
                Err(error) => return report.unread(&ImageObject::Image, error),
            },
        };
        for found in compared.disagreements {
            let path = Some(found.path.clone());
            report.add_at(ImageObject::Image, path, None, Flaw::Disagreement(found));
        }
        report.count_untold(compared.untold);
        match compared.result {
            Ok(odd) => report.summary.advisories.append(odd),
            Err(error) => report.add(ImageObject::Image, Flaw::Compare(error)),
        }
    }
}

fn run(toc: &EstargzImage, layer: impl Read, options: &CompareOptions) -> Compared {
    let (mut disagreements, mut untold) = (Vec::new(), 0);
    let result = compare(toc, layer, options, &mut |found| {
        if (disagreements.len() as u64) < MAX_FINDINGS {
            disagreements.push(found);
        } else {
            untold += 1;
        }
    });
    Compared {
        disagreements,
        untold,
        result,
    }
}

/// How the tar inside is read.
pub(super) fn compare_options(image: &OpenImage, options: &VerifyOptions) -> CompareOptions {
    CompareOptions::default()
        .lenient(options.lenient)
        .limits(image.limits().clone())
}

/// Pieces that come from another thread.
struct Pipe {
    pieces: Receiver<Bytes>,
    piece: Bytes,
}

impl Pipe {
    fn new(pieces: Receiver<Bytes>) -> Self {
        let piece = Bytes::new();
        Self { pieces, piece }
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.recv() {
                Ok(piece) => self.piece = piece,
                Err(_) => return Ok(0),
            }
        }
        let len = buf.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buf[..len]);
        Ok(len)
    }
}

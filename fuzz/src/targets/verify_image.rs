//! Everything there is to verify, in one call.

use std::sync::Arc;

use lazyoci::blob_io::ReadAt;
use lazyoci::model::{Blame, BlobId, Fault, Limits};
use lazyoci::read::{
    Finding, Format, MAX_FINDINGS, MAX_RANGES, OpenImage, VerifyOptions, VerifySourceOptions,
    VerifySummary, open_source, verify_source,
};
use lazyoci::verify::{self, AuditFault, Profile};

use super::input::Input;
use super::memory::Memory;
use super::open_image::Same;
use super::reading::open_options;
use super::same::see;

/// Takes choices, a place, the length of a bootstrap, and an image: a bootstrap with its blob behind
/// it, or whatever it is; verifies it opened, and as the file that may not open. What is sound is so by
/// an audit too, has a digest, and is not sound any more with another bit at that place.
pub fn verify_image(data: &[u8]) {
    let input = &mut Input::new(data);
    let flags = input.byte();
    let place = input.u16();
    let blocks = usize::from(input.byte());
    let (image, blob) = match input.rest().split_at_checked(blocks * 4096) {
        Some((bootstrap, blob)) if blocks > 0 => (bootstrap, blob),
        _ => (input.rest(), input.rest()),
    };
    let files = Files { image, blob, flags };
    let options = VerifyOptions::default()
        .content(flags & 1 == 0)
        .lenient(flags & 2 != 0)
        .threads(usize::from(1 + (flags >> 2 & 1)));
    let expected = verify::sha256(image);
    let options = options.expect((flags & 8 != 0).then_some(expected));

    let (summary, texts) = files.verify_file(&options);
    let Some(opened) = files.open() else {
        return;
    };
    // A sparse file may be longer than there is time to read.
    let seen = see(opened.image(), opened.limits());
    let content = seen.iter().flatten().map(|seen| seen.attributes.size);
    if content.fold(0u64, u64::saturating_add) > opened.limits().max_layer_len {
        return;
    }
    let other_threads = options.clone().threads(2 - usize::from(flags >> 2 & 1));
    for options in [&options, &other_threads] {
        let again = told(|tell| opened.verify(options, &mut (), tell));
        assert!(again == (summary.clone(), texts.clone()), "it depends");
    }
    if summary.is_sound() && options.content {
        sound(&opened);
        files.flipped(place.into(), &opened, &options.expect(expected));
    }
}

/// What is opened, and what all of its blobs are.
struct Files<'a> {
    image: &'a [u8],
    blob: &'a [u8],
    flags: u8,
}

impl Files<'_> {
    fn source(&self) -> Arc<dyn ReadAt> {
        Arc::new(Memory(self.image.to_vec()))
    }

    fn blobs(&self) -> Same {
        Same(Memory(self.blob.to_vec()))
    }

    /// What the file is called.
    fn id(&self) -> Option<BlobId> {
        let id = match self.flags & 16 {
            0 => BlobId::new(b"fuzz"),
            _ => BlobId::new(verify::sha256(self.image).hex().as_bytes()),
        };
        id.ok()
    }

    fn open(&self) -> Option<OpenImage> {
        let options = open_options(self.flags & 2 != 0, self.flags & 32 != 0);
        let opened = open_source(self.source(), self.id().as_ref(), self.blobs(), &options);
        opened.ok()
    }

    fn verify_file(&self, options: &VerifyOptions) -> (VerifySummary, Vec<String>) {
        let open = open_options(self.flags & 2 != 0, self.flags & 32 != 0);
        let (source, id) = (self.source(), self.id());
        let options = VerifySourceOptions::default()
            .id(id)
            .open(open)
            .verify(options.clone());
        told(|tell| verify_source(source, self.blobs(), &options, &mut (), tell))
    }

    /// With one bit of its blob or bootstrap changed a RAFS image is not sound, unless the bit means
    /// nothing.
    fn flipped(&self, place: usize, opened: &OpenImage, options: &VerifyOptions) {
        if opened.format() != Format::RafsV6 || opened.image().blobs().len() != 1 {
            return;
        }
        let (summary, _) = self.verify_file(options);
        if summary.blobs == 0 || summary.audit.unverifiable_chunks > 0 {
            return;
        }
        let mut bytes = [self.image, self.blob].concat();
        let bit = place % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let (image, blob) = bytes.split_at(self.image.len());
        let flags = self.flags;
        let (changed, _) = Files { image, blob, flags }.verify_file(options);
        let at = (bit / 8).checked_sub(image.len()).map(|at| at as u64);
        let means_nothing = at.is_some_and(|at| {
            [&summary.padding, &summary.unvouched].iter().any(|ranges| {
                ranges.iter().any(|named| named.range.contains(&at)) || ranges.len() == MAX_RANGES
            })
        });
        assert!(means_nothing || !changed.is_sound(), "bit {bit} is free");
    }
}

/// What a verification finds, each finding in words.
fn told<E: std::fmt::Debug>(
    verify: impl FnOnce(&mut dyn FnMut(Finding)) -> Result<VerifySummary, E>,
) -> (VerifySummary, Vec<String>) {
    let (mut texts, mut corrupt, mut unread) = (Vec::new(), 0, 0);
    let mut path_bytes = 0;
    let summary = verify(&mut |found| {
        corrupt += u64::from(found.fault == Fault::Corrupt);
        unread += u64::from(matches!(found.fault, Fault::Io | Fault::Misuse));
        let mut text = format!("{}: {found}", found.object);
        if let Some(path) = &found.path {
            path_bytes += path.as_bytes().len() as u64;
            text = format!("{path}: {text}");
        }
        texts.push(text);
    });
    let summary = summary.expect("nobody cancels");
    assert_eq!(summary.findings - summary.untold, texts.len() as u64);
    let limit = Limits::small().max_report_len;
    assert!(path_bytes <= limit, "{path_bytes} bytes of paths told");
    assert!(texts.len() as u64 <= MAX_FINDINGS);
    assert!(corrupt <= summary.corrupt && unread <= summary.unread);
    assert_eq!(summary.is_sound(), summary.worst().is_none());
    assert_eq!(summary.worst() == Some(Fault::Corrupt), summary.corrupt > 0);
    texts.sort();
    (summary, texts)
}

/// An image in which nothing was found is sound by an audit, and has a digest.
fn sound(image: &OpenImage) {
    let mut tell = |fault: AuditFault| panic!("{}: {fault}", fault.path());
    let mut reader = image.reader().clone();
    let summary = verify::audit(image.image(), &mut reader, image.limits(), &mut tell);
    summary.expect("nobody cancels");
    let digest = image.tree_digest(Profile::Content, &mut ());
    // It may be too much.
    assert!(
        digest.as_ref().map_or_else(Blame::fault, |_| Fault::Limit) == Fault::Limit,
        "nothing is wrong with it, but: {digest:?}"
    );
}

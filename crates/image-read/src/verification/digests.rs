//! Digests of whole files: what they are called by, and what their user expects.

use blob_io::ReadAt;
use image_model::{BlobId, Cancelled, Digest, DigestAlgorithm};
use rafs_format::blob::{Section, Sections};
use verify::{Hasher, digest};

use super::finding::{Flaw, ImageObject};
use super::report::Report;
use super::sinks::{Digests, Sinks};

/// What the file that was opened is called.
const FILE: &str = "the file";

/// Bytes that are hashed at once.
const PIECE_LEN: u64 = 1 << 20;

/// What is wanted of the bytes of a RAFS blob with these sections.
pub(super) fn sinks(sections: Option<&Sections>) -> Sinks {
    let mut sinks = Sinks::sha256();
    if let Some(sections) = sections {
        sinks.want_front(sections.digested_data().end);
        // nydus-image leaves them out of the digest that names the blob.
        if let Some(digests) = &sections.digests {
            sinks.want_without(digests.clone());
        }
    }
    sinks
}

/// The digest that the TOC lists of the data of a blob with these sections.
pub(super) fn listed(sections: &Sections) -> Option<Digest> {
    let entry = sections.toc.as_ref()?.entry(Section::Data).ok()?;
    Some(entry.digest)
}

/// Compares the digests of the RAFS blob called `id` with that name, and with that which its data should have.
///
/// A name of 64 hexadecimal digits is a SHA-256: that of the file, as stores and registries have it, or
/// of the file without the section of chunk digests, as nydus-image has it; the TOC vouches for that
/// section then. Other names say nothing. Answers whether one of them vouches for the whole blob.
pub(super) fn compare(
    id: &BlobId,
    listed: Option<Digest>,
    digests: &Digests,
    report: &mut Report<'_>,
) -> bool {
    let object = || ImageObject::Blob(id.clone());
    let called: Option<Digest> = format!("sha256:{id}").parse().ok();
    if let Some(called) = called
        && let Some(&found) = digests.whole.first()
        && called != found
        && Some(called) != digests.without
    {
        let what = Flaw::Name {
            object: object(),
            found,
        };
        report.add(object(), what);
    }
    if let (Some(expected), Some(found)) = (listed, digests.front)
        && expected != found
    {
        let what = Flaw::Data {
            object: object(),
            expected,
            found,
        };
        report.add(object(), what);
    }
    called.is_some() || listed.is_some()
}

/// The digest that the user trusts, and what might have it: the file, its bootstrap, its TOC.
#[derive(Default)]
pub(super) struct Expected {
    digest: Option<Digest>,
    found: Vec<(&'static str, Digest)>,
    /// Whether the file went by: what it did not tell then it will not.
    file_read: bool,
}

impl Expected {
    pub(super) fn new(digest: Option<Digest>) -> Self {
        Self {
            digest,
            ..Self::default()
        }
    }

    /// The digest that is still to be found, which is that of the file then.
    pub(super) fn of_file(&self) -> Option<Digest> {
        let met = |expected: &Digest| self.found.iter().any(|(_, found)| found == expected);
        self.digest.filter(|expected| !met(expected))
    }

    /// Something that has the digest `found`; one made otherwise says nothing.
    pub(super) fn add(&mut self, what: &'static str, found: Digest) {
        if self.digest.map(|digest| digest.algorithm()) == Some(found.algorithm()) {
            self.found.push((what, found));
        }
    }

    /// Something that is `bytes`.
    pub(super) fn add_bytes(&mut self, what: &'static str, bytes: &[u8]) {
        let found = self.of_file().map(|digest| digest.algorithm());
        // A digest that cannot be computed is reported at the end.
        if let Some(Ok(found)) = found.map(|algorithm| digest(algorithm, bytes)) {
            self.add(what, found);
        }
    }

    /// The digests of the file itself; `None` if it could not be read, which was told.
    pub(super) fn add_file(&mut self, digests: Option<&Digests>) {
        self.file_read = true;
        for &found in digests.iter().flat_map(|digests| &digests.whole) {
            self.add(FILE, found);
        }
    }

    /// Whether it is the file that has the digest.
    pub(super) fn is_of_file(&self) -> bool {
        let met = |(what, found): &(_, Digest)| *what == FILE && Some(*found) == self.digest;
        self.found.iter().any(met)
    }

    /// Digests the file, if that is the only thing left and nobody has.
    pub(super) fn read_file(
        &mut self,
        source: &dyn ReadAt,
        report: &mut Report<'_>,
    ) -> Result<(), Cancelled> {
        let Some(expected) = self.of_file().filter(|_| !self.file_read) else {
            return Ok(());
        };
        match hash(source, expected.algorithm(), report)? {
            Some(Ok(found)) => self.add(FILE, found),
            Some(Err(error)) => report.unread(&ImageObject::Image, error),
            None => {}
        }
        Ok(())
    }

    /// Tells that there is no file to have the digest.
    pub(super) fn expect_no_file(&mut self, report: &mut Report<'_>) {
        if let Some(expected) = self.digest.take() {
            report.add(ImageObject::Image, Flaw::NoFile { expected });
        }
    }

    /// Tells if nothing has the expected digest.
    pub(super) fn settle(mut self, report: &mut Report<'_>) {
        let Some(expected) = self.of_file() else {
            return;
        };
        let what = match Hasher::new(expected.algorithm()) {
            Err(error) => Flaw::Uncomputed(error),
            // The reason was already reported.
            Ok(_) if self.found.is_empty() => return,
            Ok(_) => {
                self.found.sort_by_key(|(what, _)| *what != FILE);
                let found = self.found;
                Flaw::Unexpected { expected, found }
            }
        };
        report.add(ImageObject::Image, what);
    }
}

/// The digest of all of `source`; `None` if it cannot be made.
fn hash(
    source: &dyn ReadAt,
    algorithm: DigestAlgorithm,
    report: &mut Report<'_>,
) -> Result<Option<Result<Digest, blob_io::ReadError>>, Cancelled> {
    let Ok(mut hasher) = Hasher::new(algorithm) else {
        return Ok(None);
    };
    let mut piece = |offset: u64, len: u64| {
        // At most 1 MiB.
        let bytes = source.read_bytes(offset, PIECE_LEN.min(len - offset) as usize)?;
        hasher.update(&bytes);
        Ok(bytes.len() as u64)
    };
    let len = match source.len() {
        Ok(len) => len,
        Err(error) => return Ok(Some(Err(error))),
    };
    let mut offset = 0;
    while offset < len {
        report.again()?;
        match piece(offset, len) {
            Ok(read) => offset += read,
            Err(error) => return Ok(Some(Err(error))),
        }
    }
    Ok(Some(Ok(hasher.finish())))
}

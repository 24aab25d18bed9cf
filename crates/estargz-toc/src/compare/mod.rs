//! Comparing the TOC with the tar inside the blob. A lazy runtime shows what the TOC says, all
//! other tools show what the tar says, and nothing but the builder's good will keeps the two in
//! agreement. This finds where they disagree.

mod disagreement;
mod end;
mod error;
mod tar;

use std::io::Read;

use image_model::advisory::Advisories;
use image_model::diff::{Change, DiffObserver, Difference, Reason, diff};
use image_model::layer::Whiteout;
use image_model::walk::HardLinks;
use image_model::width::u64_from;
use image_model::{
    ChunkedImage, FileKind, ImagePath, Ino, InodeId, Limits, NameRef, Node, Timestamp,
};

use crate::image::{EstargzImage, Prefetch, TocKind};
use crate::landmark::Landmark;
pub use disagreement::{Both, Disagreement, Readings};
pub use error::CompareError;
use tar::TarInside;

/// Options for reading the tar.
///
/// ```
/// use lazyoci_estargz_toc::compare::CompareOptions;
/// assert!(CompareOptions::default().lenient(true).lenient);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompareOptions {
    /// Follow Go in what tar readers disagree on, instead of refusing it.
    pub lenient: bool,
    /// Bounds on the tar.
    pub limits: Limits,
}

impl CompareOptions {
    image_model::setters! {
        lenient: bool,
        limits: Limits,
    }
}

/// Reads all of `layer`, the stored blob, like a reader that does not know eStargz, and reports to
/// `report` where the TOC differs, in walk order. It compares names, kinds, attributes and
/// landmarks, and content by its digests, of whole files and of their chunks. Whether the bytes in
/// the blob have the chunks' digests is left to an audit of the image. Times agree if the TOC has
/// the tar's time in whole seconds, floored or rounded (as in the reference implementation; TOCs of containers/storage
/// have all of it); modes
/// of symbolic links are ignored. A member that has the name of a landmark, but is not exactly one,
/// counts as a file that only the tar has; so does a member with the name of the TOC that is not
/// the last one or not the TOC. After the end of the archive there may only be zeros, or the TOC if
/// it is not inside. Memory: the tree of the tar. Returns the accepted oddities of its members.
///
/// ```
/// use image_model::{BlobId, Limits, StepMachine as _};
/// use lazyoci_estargz_toc::compare::{CompareOptions, compare};
/// use lazyoci_estargz_toc::image::ImageOptions;
/// use lazyoci_estargz_toc::open::Opener;
///
/// let layer = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/odd.esgz"));
/// let toc = Opener::new(layer.len() as u64, &Limits::default()).drive(|need| {
///     let range = need.range.start as usize..need.range.end as usize;
///     Ok::<_, Box<dyn std::error::Error>>(layer[range].to_vec().into())
/// })?;
/// let image = toc.image(BlobId::new(b"layer")?, &ImageOptions::default())?;
/// let mut found = Vec::new();
/// compare(&image, &layer[..], &CompareOptions::default(), &mut |mismatch| found.push(mismatch))?;
/// assert!(found.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`CompareError`] if the layer cannot be read as a tar.
pub fn compare(
    toc: &EstargzImage,
    layer: impl Read,
    options: &CompareOptions,
    report: &mut dyn FnMut(Disagreement),
) -> Result<Advisories, CompareError> {
    let tar = TarInside::read(toc, layer, options)?;
    let landmarks = Both {
        toc: toc.prefetch.map(|prefetch| match prefetch {
            Prefetch::Nothing => Landmark::NoPrefetch,
            Prefetch::UpTo(_) => Landmark::Prefetch,
        }),
        tar: tar.landmark,
    };
    let mut report = |path: &ImagePath, readings| {
        let path = path.clone();
        report(Disagreement { path, readings });
    };
    if landmarks.toc != landmarks.tar {
        report(&ImagePath::root(), Readings::Landmark(landmarks));
    }
    if tar.goes_on {
        report(&ImagePath::root(), Readings::BehindEnd);
    }
    // Differences do not count the time of the root.
    let roots = Both {
        toc: mtime(&toc.image, InodeId::ROOT),
        tar: mtime(&tar.image, InodeId::ROOT),
    };
    if !times_agree(toc.kind, &roots) {
        report(&ImagePath::root(), Readings::Mtime(roots));
    }
    let mut observer = Observer {
        toc,
        tar: &tar,
        limits: &options.limits,
        links: None,
        report: &mut report,
    };
    diff(&*toc.image, &tar.image, &options.limits, &mut observer)?;
    Ok(tar.advisories)
}

fn mtime(image: &ChunkedImage, inode: InodeId) -> Timestamp {
    image.tree.inode(inode).metadata.mtime
}

/// eStargz has only whole seconds.
fn times_agree(kind: TocKind, times: &Both<Timestamp>) -> bool {
    let Both { toc, tar } = times;
    if kind == TocKind::Containers {
        return toc == tar;
    }
    let rounded = tar
        .seconds
        .saturating_add((tar.nanoseconds >= 500_000_000).into());
    toc.seconds == tar.seconds || toc.seconds == rounded
}

/// Makes readings of differences.
struct Observer<'a> {
    toc: &'a EstargzImage,
    tar: &'a TarInside,
    limits: &'a Limits,
    /// Which names share an inode; collected on demand.
    links: Option<Both<HardLinks>>,
    report: &'a mut dyn FnMut(&ImagePath, Readings),
}

impl DiffObserver for Observer<'_> {
    type Error = CompareError;

    fn difference(&mut self, difference: Difference<'_>) -> Result<(), CompareError> {
        let path = difference.path;
        match difference.change {
            Change::Removed(ino) => {
                let readings = Readings::OnlyInToc(kind(&self.toc.image, ino));
                (self.report)(path, readings);
            }
            Change::Added(ino) => {
                let readings = Readings::OnlyInTar(kind(&self.tar.image, ino));
                (self.report)(path, readings);
            }
            // Of a whiteout nothing counts but its name: as a hard link it is read alone.
            Change::Changed { .. } if path.last().is_some_and(is_whiteout) => {}
            Change::Changed {
                left,
                right,
                reasons,
            } => {
                for &reason in reasons {
                    let inodes = Both {
                        toc: inode(left),
                        tar: inode(right),
                    };
                    if let Some(readings) = self.readings(reason, &inodes)? {
                        (self.report)(path, readings);
                    }
                }
            }
        }
        Ok(())
    }

    fn same_content(&mut self, left: Ino, right: Ino) -> Result<bool, CompareError> {
        let content = self.tar.content(inode(right));
        Ok(content.is_some_and(|content| content.is_that_of(self.toc, inode(left))))
    }
}

impl Observer<'_> {
    /// The disagreement for a difference between the trees; `None` if it does not matter.
    fn readings(
        &mut self,
        reason: Reason,
        inodes: &Both<InodeId>,
    ) -> Result<Option<Readings>, CompareError> {
        let both = Both {
            toc: self.toc.image.tree.inode(inodes.toc),
            tar: self.tar.image.tree.inode(inodes.tar),
        };
        Ok(Some(match reason {
            Reason::Kind => Readings::Kind(both.map(|inode| inode.node.kind())),
            Reason::Mode => Readings::Mode(both.map(|inode| inode.metadata.mode)),
            Reason::Uid => Readings::Uid(both.map(|inode| inode.metadata.uid)),
            Reason::Gid => Readings::Gid(both.map(|inode| inode.metadata.gid)),
            Reason::Mtime => {
                let times = both.map(|inode| inode.metadata.mtime);
                if times_agree(self.toc.kind, &times) {
                    return Ok(None);
                }
                Readings::Mtime(times)
            }
            Reason::Size => Readings::Size(both.map(|inode| inode.node.size())),
            Reason::Device => Readings::Device(both.map(|inode| inode.node.device())),
            Reason::Target => Readings::Target(both.map(|inode| match &inode.node {
                Node::Symlink(target) => target.clone(),
                _ => Box::default(),
            })),
            Reason::Xattrs => Readings::Xattrs(both.map(|inode| inode.metadata.xattrs.clone())),
            Reason::Content => {
                let digests = Both {
                    toc: self.toc.file_digest(inodes.toc),
                    tar: self.tar.content(inodes.tar).and_then(|c| c.digest),
                };
                if digests.toc.is_some() && digests.toc == digests.tar {
                    Readings::ChunkDigests
                } else {
                    Readings::Content(digests)
                }
            }
            Reason::Links => {
                let links = self.links()?;
                let links = Both {
                    toc: links.toc.group(ino(inodes.toc)).cloned(),
                    tar: links.tar.group(ino(inodes.tar)).cloned(),
                };
                // Apart from whiteouts they may be the same.
                if links.toc == links.tar {
                    return Ok(None);
                }
                Readings::Links(links)
            }
            _ => return Ok(None),
        }))
    }

    fn links(&mut self) -> Result<&Both<HardLinks>, CompareError> {
        if self.links.is_none() {
            let collect = |image: &ChunkedImage| {
                HardLinks::collect(image, self.limits, &is_whiteout).map_err(CompareError::Links)
            };
            self.links = Some(Both {
                toc: collect(&self.toc.image)?,
                tar: collect(&self.tar.image)?,
            });
        }
        Ok(self.links.as_ref().expect("they were collected above"))
    }
}

fn is_whiteout(name: NameRef<'_>) -> bool {
    Whiteout::of(name.as_bytes()).is_some()
}

fn kind(image: &ChunkedImage, ino: Ino) -> FileKind {
    image.tree.inode(inode(ino)).node.kind()
}

/// An owned image numbers inodes by their position.
fn inode(ino: Ino) -> InodeId {
    InodeId::new(u32::try_from(ino.0).expect("a position in a tree"))
}

fn ino(inode: InodeId) -> Ino {
    Ino(u64_from(inode.index()))
}

//! A blob of RAFS v7.

use image_model::BlobIndex;
use rafs_format::v7::{Footer, Groups, V7Blob};

use super::VerifyOptions;
use super::digests::Expected;
use super::finding::ImageObject;
use super::planned::Planned;
use super::report::Report;
use crate::open::OpenImage;

/// What to do with blob number `index`, which says `blob` of itself: all of that was checked when it was opened.
pub(super) fn plan(
    image: &OpenImage,
    (index, blob): (BlobIndex, &V7Blob),
    options: &VerifyOptions,
    expected: &Expected,
    report: &mut Report<'_>,
) -> Planned {
    let id = image.image().blobs()[index.0 as usize].id.clone();
    let object = ImageObject::Blob(id.clone());
    report.summary.blobs += 1;
    let footer = &blob.footer;
    let unused = blob.groups.iter().flat_map(Groups::gaps);
    for gap in footer.gaps().chain(unused) {
        report.padding(&object, gap);
    }
    if !options.content {
        return Planned::unread(object);
    }
    let v7 = image.v7();
    let is_file = v7.is_some_and(|v7| v7.opened_blob() == Some(index));
    // That of a blob which holds the bootstrap is of its data alone.
    let data = v7.and_then(|v7| v7.listed_digest(index));
    let data = data.filter(|_| is_file && footer.data.start == 0);
    let data = data.map(|digest| (footer.data.end, digest));
    let len = footer.offset + Footer::LEN as u64;
    let mut planned = Planned::v7(object, id, data, len);
    planned.is_file = is_file;
    if is_file {
        planned.want(expected);
    }
    planned
}

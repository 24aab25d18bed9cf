//! A damaged golden, and what refuses it.

use std::error::Error;
use std::ops::ControlFlow;

use image_model::{FileKind, Image, ImageError, Ino};
use lazyoci_rafs_format::DecodeError;
use lazyoci_rafs_format::v6::Bootstrap;

use crate::common::{A4, open, patched};

pub(crate) const ROOT: usize = 0x3000;
pub(crate) const E: usize = 0x30a0;
pub(crate) const F: usize = 0x30e0;
pub(crate) const D: usize = 0x31a0;
pub(crate) const L: usize = 0x3220;
pub(crate) const INO_E: Ino = Ino(133);
pub(crate) const INO_F: Ino = Ino(135);
pub(crate) const INO_Z: Ino = Ino(138);
pub(crate) const INO_L: Ino = Ino(145);

pub(crate) fn cause(error: &ImageError) -> DecodeError {
    let source = error.source().unwrap();
    source.downcast_ref::<DecodeError>().unwrap().clone()
}

pub(crate) fn broken(patches: &[(usize, &[u8])]) -> Bootstrap {
    open(&patched(A4, patches)).unwrap()
}

/// Every question about every inode of the golden, until one is not answered.
fn ask_all(bootstrap: &Bootstrap) -> Result<(), ImageError> {
    for nid in [128, 133, 135, 138, 141, 145] {
        let ino = Ino(nid);
        bootstrap.xattrs(ino)?;
        match bootstrap.attributes(ino)?.kind {
            FileKind::Directory => {
                bootstrap.read_directory(ino, &mut |_| ControlFlow::Continue(()))?;
            }
            FileKind::Symlink => drop(bootstrap.symlink_target(ino)?),
            FileKind::File => {
                bootstrap.extents(ino, 0..u64::MAX, &mut |_| ControlFlow::Continue(()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The view refuses the damage when it meets it, and so does the copy.
#[track_caller]
pub(crate) fn refuses(patches: &[(usize, &[u8])], expected: &DecodeError) {
    let bootstrap = broken(patches);
    assert_eq!(&cause(&ask_all(&bootstrap).unwrap_err()), expected);
    assert_eq!(&bootstrap.to_chunked().unwrap_err(), expected);
}

#[test]
fn the_golden_has_no_damage() {
    ask_all(&broken(&[])).unwrap();
}

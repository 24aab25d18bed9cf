//! Mounts by real implementations, unmounted when dropped.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::corpus::walk;
use crate::judge::listed;
use crate::run::{Finished, script};

/// A mounted image.
#[derive(Debug)]
pub struct Mount {
    at: PathBuf,
    walker_options: Vec<String>,
}

impl Mount {
    /// By nydusd through FUSE.
    ///
    /// # Panics
    /// If nydusd does not mount it.
    #[must_use]
    pub fn nydusd(bootstrap: &Path, blobs: &Path, at: &Path) -> Self {
        Self::by_nydusd("nydusd", bootstrap, blobs, at)
    }

    /// By nydusd through FUSE, which checks every digest of metadata and data.
    ///
    /// # Panics
    /// If nydusd does not mount it.
    #[must_use]
    pub fn nydusd_validating(bootstrap: &Path, blobs: &Path, at: &Path) -> Self {
        Self::by_nydusd("nydusd-validating", bootstrap, blobs, at)
    }

    fn by_nydusd(how: &str, bootstrap: &Path, blobs: &Path, at: &Path) -> Self {
        // nydusd sets bits above the inode number in some answers and not in others, and shows a
        // time of 0 as the present.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("a clock after 1970").as_secs().to_string();
        let options = ["--inode-bits", "56", "--epoch-since", &now];
        Self::by(how, &[bootstrap, blobs], at, &options)
    }

    /// By the kernel's EROFS, with loop devices (`true`) or plain files.
    ///
    /// # Panics
    /// If the kernel does not mount it.
    #[must_use]
    pub fn erofs(bootstrap: &Path, devices: &[PathBuf], loop_devices: bool, at: &Path) -> Self {
        let how = if loop_devices {
            "erofs-loop"
        } else {
            "erofs-files"
        };
        let mut images = vec![bootstrap];
        images.extend(devices.iter().map(PathBuf::as_path));
        Self::by(how, &images, at, &[])
    }

    /// Tar layers, or directories that are layers, the lowest first, laid over one another by overlayfs.
    ///
    /// # Panics
    /// If the kernel does not mount it, or a layer cannot be unpacked.
    #[must_use]
    pub fn overlay(layers: &[PathBuf], at: &Path) -> Self {
        let layers: Vec<_> = layers.iter().map(PathBuf::as_path).collect();
        Self::by("overlay", &layers, at, &[])
    }

    fn by(how: &str, images: &[&Path], at: &Path, walker_options: &[&str]) -> Self {
        let mut mount = script("mount/mount.sh");
        mount.arg(how).args(images).arg(at);
        // nydusd outlives the script and keeps the pipes: its own output goes to files.
        let _ = Finished::of(&mut mount).ok();
        Self {
            at: at.into(),
            walker_options: walker_options.iter().map(ToString::to_string).collect(),
        }
    }

    /// The mount point.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// The digest of everything that the mount shows; every file is read.
    #[must_use]
    pub fn digest(&self) -> String {
        walk(&self.at, &self.walker_options())
    }

    /// What the walker lists of all that: a line for each name.
    #[must_use]
    pub fn listed(&self) -> String {
        listed(&self.at, &self.walker_options())
    }

    fn walker_options(&self) -> Vec<&str> {
        self.walker_options.iter().map(String::as_str).collect()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let mut unmount = script("mount/mount.sh");
        unmount.args([OsStr::new("umount"), self.at.as_os_str()]);
        let finished = Finished::of(&mut unmount);
        if finished.code != 0 && !std::thread::panicking() {
            panic!("{}\n{}", finished.command, finished.stderr);
        }
    }
}

//! Images that run, and the runtimes that run them: containerd with nydus-snapshotter and nydusd, containerd alone, and
//! podman.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::corpus::walk;
use crate::run::{Finished, lazyoci, script, tool};
use crate::{Mount, interop_dir, scratch};

/// A container's command that says "runs". ctr may lose what a container says that has ended before it listens.
pub const SAY: [&str; 4] = ["/bin/busybox", "sh", "-c", "echo runs; sleep 1"];

/// An image of several layers that runs, and no other is equal to.
#[derive(Debug)]
pub struct Runnable {
    /// Where its files are.
    pub dir: tempfile::TempDir,
    /// How the examples call it.
    pub name: String,
    /// Its layers, lowest first: tars, compressed or not.
    pub layers: Vec<PathBuf>,
    /// Digest of its tree, as overlayfs shows it.
    pub expected: String,
    /// Directories that are not compared where layers are unpacked: an upper layer implies them and has entries in them,
    /// so they have the time of the unpacking.
    pub retimed: Vec<String>,
    /// What the walker lists of that.
    dump: String,
    /// When all of its files were there, in seconds since 1970: nydusd shows a time of 0 as that of the mount.
    since: u64,
}

impl Runnable {
    /// A busybox, and above it the layers of `corpus/stack.py` with `options`, put together by umoci.
    ///
    /// # Panics
    /// If a tool fails.
    #[must_use]
    pub fn new(options: &[&str]) -> Self {
        let dir = scratch();
        let at = dir.path();
        let _ = Finished::of(script("corpus/runnable.py").arg(at)).ok();
        let _ = Finished::of(script("corpus/stack.py").args(options).arg(at)).ok();
        let names = ["base.tar", "lower.tar", "middle.tar", "upper.tar"];
        let layers = names.map(|name| at.join(name));
        let _ = tool("umoci", at, &["init", "--layout", "layout"]);
        let _ = tool("umoci", at, &["new", "--image", "layout:v1"]);
        for name in names {
            let _ = tool(
                "umoci",
                at,
                &["raw", "add-layer", "--image", "layout:v1", name],
            );
        }
        Self::of("oci:layout:v1".into(), layers.into(), dir)
    }

    /// The image in the registry that `builder` of `runtimes/builders.sh` makes of `containerfile`, on a busybox. `image`
    /// is its name there: `HOST/REPO:TAG`.
    ///
    /// # Panics
    /// If a tool fails.
    #[must_use]
    pub fn built(builder: &str, containerfile: &str, image: &str) -> Self {
        let dir = scratch();
        let at = dir.path();
        let _ = Finished::of(script("corpus/runnable.py").arg(at)).ok();
        let _ = tool("umoci", at, &["init", "--layout", "layout"]);
        let _ = tool("umoci", at, &["new", "--image", "layout:base"]);
        let add = ["raw", "add-layer", "--image", "layout:base", "base.tar"];
        let _ = tool("umoci", at, &add);
        let base = image.replace(":v1", ":base");
        let push = ["copy", "--quiet", "--dest-tls-verify=false"];
        let to = format!("docker://{base}");
        let _ = tool(
            "skopeo",
            at,
            &[&push[..], &["oci:layout:base", &to]].concat(),
        );
        let context = at.join("context");
        std::fs::create_dir(&context).expect("a new folder");
        std::fs::write(context.join("Containerfile"), containerfile).expect("a file");
        let mut build = script("runtimes/builders.sh");
        let build = build.args(["build", builder, &base, image]).arg(context);
        let _ = Finished::of(build).ok();

        let pull = ["copy", "--quiet", "--src-tls-verify=false"];
        let from = format!("docker://{image}");
        let _ = tool("skopeo", at, &[&pull[..], &[&*from, "dir:built"]].concat());
        let built = at.join("built");
        let manifest = std::fs::read(built.join("manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
        let layers = manifest["layers"].as_array().expect("layers").iter();
        let digests = layers.map(|layer| layer["digest"].as_str().expect("a digest"));
        let layers = digests.map(|digest| built.join(digest.trim_start_matches("sha256:")));
        Self::of(from, layers.collect(), dir)
    }

    fn of(name: String, layers: Vec<PathBuf>, dir: tempfile::TempDir) -> Self {
        let mount = Mount::overlay(&layers, &dir.path().join("overlay"));
        let (expected, dump) = (mount.digest(), walk(mount.path(), &["--dump"]));
        drop(mount);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            since: now.expect("a clock after 1970").as_secs(),
            dir,
            name,
            layers,
            expected,
            retimed: Vec::new(),
            dump,
        }
    }

    /// Whether the walker lists `text` of its tree.
    #[must_use]
    pub fn shows(&self, text: &str) -> bool {
        self.dump.contains(text)
    }

    /// Bytes of its layers.
    ///
    /// # Panics
    /// If one is gone.
    #[must_use]
    pub fn layers_len(&self) -> u64 {
        let len = |layer: &PathBuf| layer.metadata().expect("a file").len();
        self.layers.iter().map(len).sum()
    }

    /// Converts it to `to`; what `convert --json` says.
    ///
    /// # Panics
    /// If it cannot be converted.
    #[must_use]
    pub fn convert(&self, options: &[&str], to: &str) -> Value {
        self.convert_from(&self.name, options, to)
    }

    /// Converts `from`, called so in its folder, to `to`; what `convert --json` says.
    ///
    /// # Panics
    /// If it cannot be converted.
    #[must_use]
    pub fn convert_from(&self, from: &str, options: &[&str], to: &str) -> Value {
        let mut convert = lazyoci("convert");
        let convert = convert.current_dir(self.dir.path()).args(options);
        convert
            .args(by_http(&[from, to]))
            .args(["--json", from, to]);
        Finished::of(convert).ok().json()
    }

    /// The digest that our readers find of `image`.
    ///
    /// # Panics
    /// If they do not.
    #[must_use]
    pub fn digest_of(&self, image: &str) -> String {
        let mut digest = lazyoci("digest");
        let digest = digest.current_dir(self.dir.path());
        let digest = digest.args(by_http(&[image])).arg(image);
        Finished::of(digest).ok().text().to_owned()
    }

    /// skopeo takes `image` out of the registry, and it stays what it was.
    ///
    /// # Panics
    /// If it does not.
    pub fn survives_skopeo(&self, image: &str, digest: &Value) {
        let at = self.dir.path();
        let _ = std::fs::remove_dir_all(at.join("copied"));
        let copy = ["copy", "--quiet", "--src-tls-verify=false"];
        let (from, to) = (format!("docker://{image}"), "oci:copied:v1");
        let _ = tool("skopeo", at, &[&copy[..], &[&*from, to]].concat());
        let index = std::fs::read(at.join("copied/index.json")).expect("a layout");
        let index: Value = serde_json::from_slice(&index).expect("an index");
        let mut copied = index["manifests"].as_array().expect("images").iter();
        assert!(copied.any(|copied| copied["digest"] == *digest), "{image}");
    }

    /// containerd and podman take `image` whole, run it, and show the tree of this one.
    ///
    /// # Panics
    /// If they do not.
    pub fn runs_unpacked(&self, image: &str) {
        let expected = self.comparable(&self.dump);
        let inside = walk_inside("overlayfs", image, "--dump");
        assert_eq!(self.comparable(&inside), expected, "{image} by containerd");
        let podman = |arguments: &[&str]| {
            let mut podman = script("runtimes/podman.sh");
            Finished::of(podman.args(arguments)).ok().text().to_owned()
        };
        let echo = podman(&["run", image, "/bin/busybox", "echo", "runs"]);
        assert_eq!(echo, "runs", "{image} by podman");
        let mounted = podman(&["walk", image, "--dump"]);
        assert_eq!(self.comparable(&mounted), expected, "{image} by podman");
    }

    /// The lines of a dump that every runtime shows alike: a container of an eStargz image shows the TOC and the landmark
    /// besides, and podman has a mode of its own for the root of every image.
    fn comparable<'d>(&self, dump: &'d str) -> Vec<&'d str> {
        const OTHERS: [&str; 3] = ["/.no.prefetch.landmark", "/stargz.index.json", "/"];
        let lines = dump.lines().filter(|line| !line.starts_with("tree1:"));
        let path = |line: &&str| line.split('\t').next().unwrap_or_default().to_owned();
        let is_other = |path: &String| OTHERS.contains(&&**path) || self.retimed.contains(path);
        lines.filter(|line| !is_other(&path(line))).collect()
    }

    /// podman 5 pulls `image`, runs it, and shows the tree of this one. Directories and links that it pulls partially get
    /// other times.
    ///
    /// # Panics
    /// If it does not.
    pub fn runs_by_podman5(&self, image: &str) {
        let podman = |arguments: &[&str]| {
            let mut podman = script("runtimes/podman5.sh");
            Finished::of(podman.args(arguments)).ok().text().to_owned()
        };
        let _ = podman(&["stop"]);
        let _ = podman(&["pull", image]);
        let echo = podman(&["run", image, "/bin/busybox", "echo", "runs"]);
        assert_eq!(echo, "runs", "{image}");
        let mounted = podman(&["walk", image, "--dump"]);
        let without_times = |dump| -> Vec<String> {
            let line = |line: &str| {
                let mut fields: Vec<_> = line.split('\t').collect();
                if matches!(fields.get(1), Some(&("d" | "l")))
                    && let Some(time) = fields.get_mut(4)
                {
                    *time = "-";
                }
                fields.join("\t")
            };
            self.comparable(dump).into_iter().map(line).collect()
        };
        let expected = without_times(&self.dump);
        assert_eq!(without_times(&mounted), expected, "{image}");
        let _ = podman(&["stop"]);
    }

    /// containerd runs `image` by nydus-snapshotter and nydusd, and shows the tree of this one.
    ///
    /// # Panics
    /// If it does not.
    pub fn runs_lazily(&self, image: &str) {
        let echo = run("nydus", image, &SAY);
        assert_eq!(echo, "runs", "{image}");
        let options = format!("--inode-bits 56 --epoch-since {}", self.since);
        let inside = walk_inside("nydus", image, &options);
        assert_eq!(inside, self.expected, "{image}");
    }
}

/// The option for a registry without TLS, if one of `images` is in a registry.
fn by_http(images: &[&str]) -> Option<&'static str> {
    let in_registry = images.iter().any(|image| image.starts_with("docker://"));
    in_registry.then_some("--plain-http")
}

/// A command, run in a container by containerd; what it prints.
///
/// # Panics
/// If it fails.
#[must_use]
pub fn run(snapshotter: &str, image: &str, command: &[&str]) -> String {
    let mut run = script("runtimes/containerd.sh");
    let run = run.args(["run", snapshotter, image]).args(command);
    Finished::of(run).ok().text().to_owned()
}

/// The digest that the walker finds inside of a container: of its root without what is mounted there, by the Python
/// of this machine.
fn walk_inside(snapshotter: &str, image: &str, options: &str) -> String {
    let walker = interop_dir().join("walker.py");
    let walk = format!(
        "busybox mount -o bind / /host/mnt && exec busybox chroot /host {} {options} /mnt",
        walker.display()
    );
    run(snapshotter, image, &["/bin/busybox", "sh", "-c", &walk])
}

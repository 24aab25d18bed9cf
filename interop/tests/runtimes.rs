//! Whole images that we make, run by containerd with nydus-snapshotter and nydusd, by containerd alone, and by podman.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lazyoci_interop::corpus::walk;
use lazyoci_interop::{Finished, Mount, Registry, interop_dir, lazyoci, scratch, script, tool};
use serde_json::Value;

/// An image of several layers that runs, and no other is equal to.
struct Runnable {
    dir: tempfile::TempDir,
    /// Digest of its tree.
    expected: String,
    /// Bytes of its layers.
    layers_len: u64,
}

impl Runnable {
    /// A busybox, and above it the layers of `corpus/stack.py`.
    fn new(options: &[&str]) -> Self {
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
        let expected = Mount::overlay(&layers, &at.join("overlay")).digest();
        Self {
            expected,
            layers_len: layers.iter().map(|layer| len(layer)).sum(),
            dir,
        }
    }

    /// Converts it into the registry; what `convert --json` says.
    fn push(&self, options: &[&str], image: &str) -> Value {
        self.convert("oci:layout:v1", options, &format!("docker://{image}"))
    }

    fn convert(&self, from: &str, options: &[&str], to: &str) -> Value {
        let mut convert = lazyoci("convert");
        let convert = convert.current_dir(self.dir.path()).args(options);
        convert.args(["--json", "--plain-http", from, to]);
        Finished::of(convert).ok().json()
    }

    /// The digest that our readers find.
    fn digest(&self, image: &str) -> String {
        let mut digest = lazyoci("digest");
        let digest = digest.current_dir(self.dir.path());
        let digest = digest.args(["--plain-http", image]);
        Finished::of(digest).ok().text().to_owned()
    }

    /// skopeo takes the image out of the registry, and it stays what it was.
    fn survives_skopeo(&self, image: &str, digest: &Value) {
        let copy = ["copy", "--quiet", "--src-tls-verify=false"];
        let (from, to) = (format!("docker://{image}"), "oci:copied:v1");
        let _ = tool(
            "skopeo",
            self.dir.path(),
            &[&copy[..], &[&*from, to]].concat(),
        );
        let index = std::fs::read(self.dir.path().join("copied/index.json")).expect("a layout");
        let index: Value = serde_json::from_slice(&index).expect("an index");
        let mut copied = index["manifests"].as_array().expect("images").iter();
        assert!(copied.any(|copied| copied["digest"] == *digest), "{image}");
    }
}

fn len(path: &Path) -> u64 {
    path.metadata().expect("a file").len()
}

/// A command, run in a container by containerd; what it prints.
fn run(snapshotter: &str, image: &str, command: &[&str]) -> String {
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

/// How a mount by nydusd is walked.
fn options_of_nydusd() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.expect("a clock after 1970").as_secs();
    format!("--inode-bits 56 --epoch-since {now}")
}

/// What a container of an eStargz image shows besides.
fn without_toc(dump: &str) -> Vec<&str> {
    const TOC: [&str; 2] = ["/.no.prefetch.landmark\t", "/stargz.index.json\t"];
    let lines = dump.lines().filter(|line| !line.starts_with("tree1:"));
    // podman has a mode of its own for the root of every image.
    let lines = lines.filter(|line| !line.starts_with("/\t"));
    lines
        .filter(|line| !TOC.iter().any(|name| line.starts_with(name)))
        .collect()
}

#[test]
fn nydus_images_run_lazily_by_containerd() {
    let registry = Registry::start();
    let image = Runnable::new(&[]);
    for version in ["6", "5"] {
        let repository = format!("lazyoci/nydus-v{version}-{}", std::process::id());
        let name = format!("{}:v1", registry.repository(&repository));
        let made = image.push(&["--to", "nydus", "--fs-version", version], &name);
        image.survives_skopeo(&name, &made["published"]);
        assert_eq!(image.digest(&format!("docker://{name}")), image.expected);

        let before = registry.requests(&repository).len();
        assert_eq!(
            run("nydus", &name, &["/bin/busybox", "echo", "runs"]),
            "runs"
        );
        let requests = registry.requests(&repository);
        let served = requests[before..]
            .iter()
            .filter(|request| request.is_of_blob());
        let bytes: u64 = served.clone().map(|request| request.bytes).sum();
        println!("v{version}: {bytes} bytes served of {}", image.layers_len);
        assert!(
            bytes * 10 < image.layers_len,
            "{bytes} bytes of {}",
            image.layers_len
        );
        let layers = made["image_layers"].as_array().expect("layers");
        for blob in &layers[..layers.len() - 1] {
            let digest = blob["digest"].as_str().expect("a digest");
            let of_blob = served
                .clone()
                .filter(|request| request.path.ends_with(digest));
            let whole: Vec<_> = of_blob.filter(|request| request.status != 206).collect();
            assert!(whole.is_empty(), "{whole:?}");
        }
        assert_eq!(
            walk_inside("nydus", &name, &options_of_nydusd()),
            image.expected
        );

        // A new version over the blobs of this one adds only what five files hold that upper layers hide: the metadata
        // of an image does not list the chunks of these.
        let next = name.replace(":v1", ":v2");
        let known = format!("docker://{name}");
        let options = [
            "--to",
            "nydus",
            "--fs-version",
            version,
            "--chunk-dict",
            &known,
        ];
        let made = image.push(&options, &next);
        assert_eq!(made["stored_chunks"], 5);
        assert_eq!(
            walk_inside("nydus", &next, &options_of_nydusd()),
            image.expected
        );
    }
}

/// What containerd and podman take whole: the layers are such as they apply, which hard links into lower ones are not.
#[test]
fn estargz_and_plain_images_run_by_containerd_and_podman() {
    let registry = Registry::start();
    let image = Runnable::new(&["--plain"]);
    let overlay: Vec<PathBuf> = ["base.tar", "lower.tar", "middle.tar", "upper.tar"]
        .map(|name| image.dir.path().join(name))
        .to_vec();
    let mount = Mount::overlay(&overlay, &image.dir.path().join("expected"));
    let expected = walk(mount.path(), &["--dump"]);
    let expected = without_toc(&expected);
    image.convert("oci:layout:v1", &["--to", "nydus"], "oci:nydus:v1");
    for (format, from) in [
        ("estargz", "oci:layout:v1"),
        ("oci", "oci:layout:v1"),
        // The way back.
        ("oci", "oci:nydus:v1"),
    ] {
        let way = if from.contains("nydus") {
            "back"
        } else {
            format
        };
        let repository = format!("lazyoci/{way}-{}", std::process::id());
        let name = format!("{}:v1", registry.repository(&repository));
        let made = image.convert(from, &["--to", format], &format!("docker://{name}"));
        image.survives_skopeo(&name, &made["published"]);
        assert_eq!(
            image.digest(&format!("docker://{name}")),
            image.expected,
            "{way}"
        );
        let inside = walk_inside("overlayfs", &name, "--dump");
        assert_eq!(without_toc(&inside), expected, "{way} by containerd");
        let podman = |arguments: &[&str]| {
            let mut podman = script("runtimes/podman.sh");
            Finished::of(podman.args(arguments)).ok().text().to_owned()
        };
        assert_eq!(
            podman(&["run", &name, "/bin/busybox", "echo", "runs"]),
            "runs"
        );
        let mounted = podman(&["walk", &name, "--dump"]);
        assert_eq!(without_toc(&mounted), expected, "{way} by podman");
    }
}

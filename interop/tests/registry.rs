//! What docker-registry is asked for, by its access log, and conversions that meet, or die, there.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use lazyoci_interop::{Corpus, Finished, Registry, Request, Runnable, lazyoci, scratch, tool};
use serde_json::{Value, json};

/// A repository that no other test uses, and how clients call it.
fn repository(registry: &Registry, what: &str) -> (String, String) {
    let repository = format!("lazyoci/{what}-{}", std::process::id());
    let name = registry.repository(&repository);
    (repository, name)
}

/// The digests of the objects that were sent among `requests`.
fn uploaded(requests: &[Request]) -> Vec<String> {
    let sent = requests
        .iter()
        .filter(|request| request.method == "PUT" && request.path.contains("/blobs/uploads/"));
    let digest = |request: &Request| {
        let (_, digest) = request.path.split_once("digest=").expect("a digest");
        let digest = digest.split('&').next().expect("text");
        digest.replace("%3A", ":")
    };
    sent.map(digest).collect()
}

/// Whether a request changes something.
fn writes(request: &&Request) -> bool {
    !matches!(&*request.method, "GET" | "HEAD")
}

fn convert(dir: &Path, from: &str, options: &[&str], to: &str) -> Command {
    let mut convert = lazyoci("convert");
    convert.current_dir(dir).args(options);
    convert.args(["--json", "--plain-http", from, to]);
    convert
}

/// A layout with one image of the one layer `tar`, which is there in compressed form, too.
fn layout_of(corpus: &Corpus, at: &Path) {
    let blobs = at.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("a folder");
    let sum = |path: &Path| {
        let path = path.to_str().expect("UTF-8");
        let sum = tool("sha256sum", at, &[path]);
        sum.text().split(' ').next().expect("a sum").to_owned()
    };
    let document = |value: &Value, media_type: &str| {
        let path = at.join("document");
        fs::write(&path, value.to_string()).expect("a file");
        let hex = sum(&path);
        fs::rename(&path, blobs.join(&hex)).expect("a file");
        let size = value.to_string().len();
        json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": size})
    };
    let layer = corpus.with("tar.gz");
    let hex = sum(&layer);
    fs::hard_link(&layer, blobs.join(&hex)).expect("a link");
    let size = layer.metadata().expect("a file").len();
    let layer = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": format!("sha256:{hex}"), "size": size,
    });
    let diff_id = format!("sha256:{}", sum(&corpus.tar()));
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    let config = document(&config, "application/vnd.oci.image.config.v1+json");
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let mut manifest = document(&manifest, "application/vnd.oci.image.manifest.v1+json");
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]}).to_string();
    fs::write(at.join("index.json"), index).expect("a file");
    fs::write(at.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");
}

/// One file of 100 KB of an image of 700 MB: its metadata, its frames, and at most six requests.
#[test]
fn a_file_of_a_large_image_takes_few_requests() {
    const PATH: &str = "packages/site-packages/pandas/core/reshape/merge.py";
    let registry = Registry::start();
    let corpus = Corpus::new("big/layer");
    let dir = scratch();
    layout_of(&corpus, &dir.path().join("layout"));
    let tar = corpus.tar();
    let mut expected = Command::new("tar");
    let expected = Finished::of(expected.arg("-xOf").arg(&tar).arg(PATH)).ok();
    let len = expected.stdout.len() as u64;
    assert!((90_000..110_000).contains(&len), "{len} bytes");
    for format in ["nydus", "estargz"] {
        let (repository, name) = repository(&registry, &format!("large-{format}"));
        let image = format!("docker://{name}:v1");
        let _ = Finished::of(&mut convert(
            dir.path(),
            "oci:layout:v1",
            &["--to", format],
            &image,
        ))
        .ok();
        // What an eStargz image knows is that of its one layer.
        let of_layer: &[&str] = match format {
            "estargz" => &["--layer", "0"],
            _ => &[],
        };
        let mut inspect = lazyoci("inspect");
        let inspect = inspect.args(["--json", "--plain-http", &image]);
        let inspected = Finished::of(inspect.args(of_layer)).ok().json();

        let before = registry.requests(&repository).len();
        let mut cat = lazyoci("cat");
        let cat = Finished::of(cat.args(["--plain-http", &image, PATH])).ok();
        assert!(cat.stdout == expected.stdout, "{format}");
        let requests = &registry.requests(&repository)[before..];
        let of_blobs = requests.iter().filter(|request| request.is_of_blob());
        let bytes: u64 = of_blobs.map(|request| request.bytes).sum();
        let metadata = inspected["metadata_bytes"].as_u64().expect("a number");
        println!(
            "{format}: {} requests, {bytes} bytes, of which {metadata} are metadata",
            requests.len()
        );
        assert!(requests.len() <= 6, "{requests:?}");
        assert!(
            bytes <= metadata + len + len / 10,
            "{format}: {bytes} bytes"
        );
    }
}

/// What was converted before is asked for, not sent; the next version sends what is new in it.
#[test]
fn what_is_there_is_not_uploaded() {
    let registry = Registry::start();
    let image = Runnable::new(&[]);
    let (repository, name) = repository(&registry, "again");
    let (v1, v2, v3) = (
        format!("docker://{name}:v1"),
        format!("docker://{name}:v2"),
        format!("docker://{name}:v3"),
    );
    for options in [
        &["--to", "nydus"][..],
        &["--to", "estargz"],
        &["--to", "oci"],
    ] {
        let to = format!("docker://{name}:{}", options[1]);
        let first = image.convert(options, &to);
        let before = registry.requests(&repository).len();
        let again = image.convert(options, &to);
        assert_eq!(again["published"], first["published"]);
        assert_eq!(again["made_before"], true);
        let requests = &registry.requests(&repository)[before..];
        let writing: Vec<_> = requests.iter().filter(writes).collect();
        assert!(writing.is_empty(), "{writing:?}");
        assert!(requests.len() <= 12, "{requests:?}");
    }

    // The same under another name is there but for the name.
    let _ = image.convert(&["--to", "nydus"], &v1);
    let requests = registry.requests(&repository);
    let before = requests.len();
    let _ = image.convert(&["--to", "nydus"], &v2);
    let requests = &registry.requests(&repository)[before..];
    assert_eq!(uploaded(requests), [""; 0]);

    // The top layer gets one more file.
    let at = image.dir.path();
    let new: Vec<u8> = (0..300_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    fs::write(at.join("news"), &new).expect("a file");
    fs::copy(at.join("upper.tar"), at.join("changed.tar")).expect("a copy");
    let _ = tool("tar", at, &["--append", "--file", "changed.tar", "news"]);
    let _ = tool("umoci", at, &["new", "--image", "layout:v3"]);
    for layer in ["base.tar", "lower.tar", "middle.tar", "changed.tar"] {
        let _ = tool(
            "umoci",
            at,
            &["raw", "add-layer", "--image", "layout:v3", layer],
        );
    }
    let before = registry.requests(&repository).len();
    let made = image.convert_from(
        "oci:layout:v3",
        &["--to", "nydus", "--chunk-dict", &v1],
        &v3,
    );
    let requests = &registry.requests(&repository)[before..];
    let layers = made["image_layers"].as_array().expect("layers");
    let len_of = |digest: &String| {
        let layer = layers.iter().find(|layer| layer["digest"] == **digest);
        layer.map(|layer| layer["bytes"].as_u64().expect("a number"))
    };
    let sent = uploaded(requests);
    let lens: Vec<u64> = sent.iter().filter_map(len_of).collect();
    // A blob of the new chunks, one of the few bytes of files that upper layers hide, which the metadata of an image does
    // not list, the bootstrap, and the configuration, which is no layer.
    assert_eq!((sent.len(), lens.len()), (4, 3), "{sent:?}");
    let bootstrap = layers.last().expect("a layer")["bytes"]
        .as_u64()
        .expect("a number");
    let blobs = lens.iter().sum::<u64>() - bootstrap;
    println!(
        "{blobs} bytes of chunks and {bootstrap} of metadata sent for a new file of {} bytes",
        new.len()
    );
    assert!(blobs < new.len() as u64 + 8192, "{blobs} bytes");
}

/// Conversions of one image at the same time end with one image, and neither fails.
#[test]
fn conversions_at_the_same_time_agree() {
    let registry = Registry::start();
    let image = Runnable::new(&[]);
    for format in ["nydus", "estargz"] {
        let (_, name) = repository(&registry, &format!("both-{format}"));
        let to = format!("docker://{name}:v1");
        let start = || {
            let mut command = convert(image.dir.path(), &image.name, &["--to", format], &to);
            let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().expect("our example")
        };
        let both = [start(), start(), start()];
        let published = both.map(|one| {
            let output = one.wait_with_output().expect("a process");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{format}: {said}");
            let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            said["published"].as_str().expect("a digest").to_owned()
        });
        assert_eq!(published[0], published[1]);
        assert_eq!(published[0], published[2]);
        assert_eq!(image.digest_of(&to), image.expected);
    }
}

/// Twenty tags by three workers that share nothing but the list: each is whole.
#[test]
fn a_list_of_tags_is_converted_by_three_workers() {
    let registry = Registry::start();
    let dir = scratch();
    let at = dir.path();
    let (_, name) = repository(&registry, "twenty");
    let _ = Finished::of(lazyoci_interop::script("corpus/stack.py").arg(at)).ok();
    let _ = tool("umoci", at, &["init", "--layout", "layout"]);
    let tags: Vec<String> = (0..20).map(|number| format!("v{number}")).collect();
    for tag in &tags {
        let image = format!("layout:{tag}");
        let _ = tool("umoci", at, &["new", "--image", &image]);
        fs::write(at.join("own"), tag).expect("a file");
        let _ = tool("tar", at, &["--create", "--file", "own.tar", "own"]);
        for layer in ["lower.tar", "middle.tar", "own.tar"] {
            let _ = tool("umoci", at, &["raw", "add-layer", "--image", &image, layer]);
        }
    }
    let list = Mutex::new(tags.iter());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(tag) = list.lock().expect("no worker panics").next() else {
                        break;
                    };
                    let (from, to) = (
                        format!("oci:layout:{tag}"),
                        format!("docker://{name}:{tag}"),
                    );
                    let _ = Finished::of(&mut convert(at, &from, &["--to", "nydus"], &to)).ok();
                }
            });
        }
    });
    for tag in &tags {
        let image = format!("docker://{name}:{tag}");
        let mut cat = lazyoci("cat");
        let own = Finished::of(cat.args(["--plain-http", &image, "own"])).ok();
        assert_eq!(own.text(), tag);
        let mut verify = lazyoci("verify");
        let _ = Finished::of(verify.args(["--plain-http", &image])).ok();
    }
}

/// A conversion that is killed at any time leaves no tag on less than a whole image; the next one ends well.
#[test]
fn a_killed_conversion_leaves_nothing_half_made() {
    let registry = Registry::start();
    let image = Runnable::new(&[]);
    let (repository, name) = repository(&registry, "killed");
    let to = format!("docker://{name}:v1");
    let mut killed = 0;
    for milliseconds in [20, 60, 120, 200, 300, 400, 500, 600, 700, 800] {
        let mut command = convert(image.dir.path(), &image.name, &["--to", "nydus"], &to);
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = command.spawn().expect("our example");
        std::thread::sleep(Duration::from_millis(milliseconds));
        if running.try_wait().expect("a process").is_some() {
            break;
        }
        running.kill().expect("a process");
        let _ = running.wait();
        killed += 1;
        let mut verify = lazyoci("verify");
        let verified = Finished::of(verify.args(["--plain-http", &to]));
        let requests = registry.requests(&repository);
        let is_tag =
            |request: &&Request| request.method == "PUT" && request.path.ends_with("/manifests/v1");
        match requests.iter().find(is_tag) {
            Some(_) => assert_eq!(verified.code, 0, "{}", verified.stderr),
            None => assert_eq!(verified.code, 2, "{}", verified.stderr),
        }
    }
    assert!(killed > 0);
    let _ = image.convert(&["--to", "nydus"], &to);
    assert_eq!(image.digest_of(&to), image.expected);
}

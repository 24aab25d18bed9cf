//! Images in registries, named on the command line.

use std::fs;
use std::process::Command;

use registry_double::Registry;

use crate::whole::three_layers;
use crate::{Fixture, complaint, example, json, run, text};

/// An example whose user has logged in nowhere.
fn anonymous(name: &str) -> Command {
    let mut command = example(name);
    command.env_remove("REGISTRY_AUTH_FILE");
    for variable in ["XDG_RUNTIME_DIR", "DOCKER_CONFIG", "HOME"] {
        command.env(variable, "/no/such/directory");
    }
    command.arg("--plain-http");
    command
}

fn name(registry: &Registry, image: &str) -> String {
    format!("docker://{}/{image}", registry.host())
}

#[test]
fn images_go_to_registries_and_back() {
    let fixture = Fixture::new();
    let (layout, registry) = (three_layers(&fixture).name(), Registry::new());
    let expected = text(example("digest").arg(&layout));
    for format in ["oci", "estargz", "nydus"] {
        let pushed = name(&registry, &format!("team/{format}:v1"));
        let mut convert = anonymous("convert");
        run(convert.args(["--to", format, &layout, &pushed]), 0);
        assert_eq!(registry.tags(&format!("team/{format}")), ["v1"]);
        assert_eq!(text(anonymous("digest").arg(&pushed)), expected, "{format}");
        run(anonymous("verify").arg(&pushed), 0);
        let back = format!("oci:{}:{format}", fixture.path("back").display());
        let mut convert = anonymous("convert");
        run(convert.args(["--to", "oci", &pushed, &back]), 0);
        assert_eq!(text(example("digest").arg(&back)), expected, "{format}");
    }
}

/// Manifest, configuration, what says where files are, and the frames.
#[test]
fn a_file_of_a_lazy_image_takes_few_requests() {
    let fixture = Fixture::new();
    // Longer than what is fetched whole.
    let long = crate::noise(3 << 20);
    fs::write(fixture.path("source/long"), &long).unwrap();
    let tar = fixture.path("source.tar");
    let mut convert = example("convert");
    convert.args(["--to", "tar"]).arg(fixture.path("source"));
    run(convert.arg(&tar), 0);
    let layout = crate::whole::of_tar(&fixture, &tar).name();
    // Of eStargz the layer's two ends are looked at; the layer of a bootstrap is short.
    for (format, count) in [("estargz", 5), ("nydus", 4)] {
        let registry = Registry::new();
        let image = name(&registry, "app:v1");
        let mut convert = anonymous("convert");
        run(convert.args(["--to", format, &layout, &image]), 0);
        let before = registry.lines().len();
        let motd = run(anonymous("cat").arg(&image).arg("etc/motd"), 0).stdout;
        assert_eq!(motd, fs::read(fixture.path("source/etc/motd")).unwrap());
        let requests = registry.lines()[before..].to_vec();
        assert_eq!(requests.len(), count, "{format}: {requests:#?}");
        let read = run(anonymous("cat").arg(&image).arg("long"), 0).stdout;
        assert!(read == long, "{format}");
    }
}

/// Manifest, configuration and the spans of the file: the index is at hand.
#[cfg(feature = "gzip-index")]
#[test]
fn a_file_of_a_gzip_layer_with_an_index_takes_few_requests() {
    let fixture = Fixture::new();
    let long = crate::noise(3 << 20);
    fs::write(fixture.path("source/long"), &long).unwrap();
    let (layer, plain) = (fixture.path("layer"), fixture.path("layer.tar"));
    let mut convert = example("convert");
    convert
        .args(["--to", "tar-gzip"])
        .arg(fixture.path("source"));
    run(convert.arg(&layer), 0);
    let layout = crate::whole::of_gzip(&fixture, &layer).name();
    let registry = Registry::new();
    let image = name(&registry, "app:v1");
    let mut convert = anonymous("convert");
    run(convert.args(["--to", "oci", &layout, &image]), 0);
    for format in ["own", "soci"] {
        let index = fixture.path(format);
        let mut make = example("index");
        make.args(["--format", format]);
        run(make.args([&layer, &index]), 0);
        let before = registry.lines().len();
        let mut cat = anonymous("cat");
        cat.args(["--layer", "0", "--index"]).arg(&index);
        let motd = run(cat.arg(&image).arg("etc/motd"), 0).stdout;
        assert_eq!(motd, b"hello\n");
        let requests = registry.lines()[before..].to_vec();
        // Of a zTOC, the header of the layer, too.
        let count = if format == "own" { 3 } else { 4 };
        assert_eq!(requests.len(), count, "{format}: {requests:#?}");
        let mut verify = anonymous("verify");
        verify.args(["--layer", "0", "--index"]).arg(&index);
        run(verify.arg(&image), 0);
        let mut whole = anonymous("cat");
        whole.arg("--index").arg(&index);
        let said = complaint(whole.arg(&image).arg("long"), 2);
        let expected = "--index needs a single gzip layer: --layer N chooses one of the image";
        assert_eq!(said, format!("error: {image}: {expected}\n"));
    }
    // The index of another layer of the same length.
    fs::write(fixture.path("source/etc/motd"), "jello\n").unwrap();
    let mut convert = example("convert");
    convert
        .args(["--to", "tar-gzip"])
        .arg(fixture.path("source"));
    run(convert.arg(&plain), 0);
    let index = fixture.path("other");
    run(example("index").args([&plain, &index]), 0);
    let mut cat = anonymous("cat");
    cat.args(["--layer", "0", "--index"]).arg(&index);
    let said = complaint(cat.arg(&image).arg("etc/motd"), 1);
    let digest = |path| lazyoci::verify::sha256(&fs::read(path).unwrap());
    let (found, expected) = (digest(&plain), digest(&layer));
    let expected = format!("the index is of the layer {found}, but this one is {expected}");
    assert_eq!(said, format!("error: {image}: {expected}\n"));
}

#[test]
fn tags_are_not_replaced_unasked_and_objects_not_sent_twice() {
    let fixture = Fixture::new();
    let (layout, registry) = (three_layers(&fixture).name(), Registry::new());
    let image = name(&registry, "team/app:v1");
    let mut convert = anonymous("convert");
    let said = json(convert.args(["--to", "oci", &layout, &image]));
    let sent = said["uploaded_objects"].as_u64().unwrap();
    assert_eq!((sent, &said["present_objects"]), (3, &0.into()));
    // Two distinct layers, one of them twice, and the configuration.
    let work = |said: &serde_json::Value, key: &str| -> Vec<u64> {
        let layers = said["layer_work"].as_array().unwrap().iter();
        layers.map(|layer| layer[key].as_u64().unwrap()).collect()
    };
    let lens: Vec<u64> = (said["image_layers"].as_array().unwrap().iter())
        .map(|layer| layer["bytes"].as_u64().unwrap())
        .collect();
    assert_eq!(work(&said, "uploaded_bytes"), [lens[0], lens[1], 0]);
    assert_eq!(work(&said, "written_bytes"), [lens[0], lens[1], 0]);
    assert_eq!(work(&said, "skipped_bytes"), [0; 3]);
    assert!(work(&said, "read_bytes")[..2].iter().all(|read| *read > 0));
    // What was made before is there.
    let mut convert = anonymous("convert");
    let said = json(convert.args(["--to", "oci", &layout, &image]));
    assert_eq!(said["made_before"], true);
    assert_eq!(said["uploaded_objects"], 0);
    assert_eq!(said["layer_work"], serde_json::json!([]));
    // Another image is not put in its place.
    let mut convert = anonymous("convert");
    convert.args(["--compressor", "gzip:1"]);
    let said = complaint(convert.args(["--to", "oci", &layout, &image]), 2);
    assert_eq!(
        said,
        format!("error: {image} exists (--force replaces it)\n")
    );
    // Its objects are not sent again for another name.
    let again = name(&registry, "team/app:v2");
    let mut convert = anonymous("convert");
    let said = json(convert.args(["--to", "oci", &layout, &again]));
    assert_eq!(said["uploaded_objects"], 0);
    assert_eq!(said["present_objects"], sent);
    assert_eq!(work(&said, "uploaded_bytes"), [0; 3]);
    assert_eq!(work(&said, "skipped_bytes"), [lens[0], lens[1], 0]);
    // From repository to repository of one registry.
    let other = name(&registry, "team/other:v1");
    let mut convert = anonymous("convert");
    let said = json(convert.args(["--to", "oci", &image, &other]));
    assert_eq!(
        said["uploaded_objects"].as_u64().unwrap() + said["mounted_objects"].as_u64().unwrap(),
        sent
    );
}

#[test]
fn a_next_version_refers_to_the_one_before() {
    let fixture = Fixture::new();
    let (layout, registry) = (three_layers(&fixture).name(), Registry::new());
    let first = name(&registry, "team/app:v1");
    let mut convert = anonymous("convert");
    let made = json(convert.args(["--to", "nydus", &layout, &first]));
    let next = name(&registry, "team/app:v2");
    let mut convert = anonymous("convert");
    convert.args(["--to", "nydus", "--chunk-dict", &first]);
    let said = json(convert.args([&layout, &next]));
    assert_eq!(said["stored_chunks"], 0);
    assert_eq!(said["reused_chunks"], made["stored_chunks"]);
    // The documents and the layer of the bootstrap.
    assert_eq!(said["image_layers"].as_array().unwrap().len(), 2);
    let expected = text(example("digest").arg(&layout));
    assert_eq!(text(anonymous("digest").arg(&next)), expected);
    let mut convert = anonymous("convert");
    convert
        .args(["--to", "nydus", "--chunk-dict"])
        .arg(fixture.bootstrap());
    let said = complaint(convert.args([&layout, &name(&registry, "team/app:v3")]), 2);
    assert!(
        said.contains("can only share the chunks of whole images"),
        "{said}"
    );
}

#[test]
fn a_next_version_refers_to_the_blobs_of_a_dictionary_file() {
    let fixture = Fixture::new();
    let (layout, registry) = (three_layers(&fixture).name(), Registry::new());
    let first = name(&registry, "team/app:v1");
    let mut convert = anonymous("convert");
    let made = json(convert.args(["--to", "nydus", &layout, &first]));
    let file = |name: &str, repository: &str| {
        let path = fixture.path(name);
        let mut dedup = anonymous("dedup");
        dedup.args(["--chunking", "file", "--repository", repository]);
        let written = json(dedup.arg("--write-dict").arg(&path).arg(&first));
        assert_eq!(written["dictionary"]["chunks"], made["stored_chunks"]);
        path
    };
    let place = name(&registry, "team/app");
    let known = file("known", &place);
    let next = |output: &str, options: &[&str]| {
        let output = name(&registry, output);
        let mut convert = anonymous("convert");
        convert.args(["--to", "nydus", "--chunk-dict"]).arg(&known);
        let said = json(convert.args(options).args([&layout, &output]));
        let expected = text(example("digest").arg(&layout));
        assert_eq!(text(anonymous("digest").arg(&output)), expected);
        said
    };
    // The blob comes to another repository, too.
    let said = next("team/next:v2", &[]);
    assert_eq!(said["stored_chunks"], 0);
    assert_eq!(said["reused_chunks"], made["stored_chunks"]);
    assert_eq!(said["image_layers"].as_array().unwrap().len(), 2);
    let layer = |image: &serde_json::Value| image["image_layers"][0].clone();
    for key in ["digest", "bytes", "media_type", "annotations"] {
        assert_eq!(layer(&said)[key], layer(&made)[key], "{key}");
    }
    for (tag, options) in [
        ("elsewhere", ["--only-repository", "elsewhere"]),
        ("none", ["--max-shared-blobs", "0"]),
        ("used", ["--min-used", "100"]),
        ("long", ["--min-shared", "16MiB"]),
    ] {
        let said = next(&format!("team/next:{tag}"), &options);
        let key = match tag {
            "long" => "short_chunks",
            _ => "refused_chunks",
        };
        let (reused, all) = (&said["reused_chunks"], &made["stored_chunks"]);
        match tag {
            // All of the blob is used.
            "used" => assert_eq!(reused, all),
            _ => assert_eq!((reused, &said[key]), (&0.into(), all), "{tag}"),
        }
    }
    // The place has to be one.
    let nowhere = file("nowhere", "library/app");
    let mut convert = anonymous("convert");
    convert.args(["--to", "nydus", "--chunk-dict"]).arg(nowhere);
    let output = name(&registry, "team/next:v3");
    let said = complaint(convert.args([&layout, &output]), 2);
    let reason = "`library/app`: the dictionary has blobs of this repository, which is no place such as `oci:DIR` or `docker://HOST/REPOSITORY`";
    assert!(said.contains(reason), "{said}");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let fixture = Fixture::new();
    let registry = Registry::new();
    let missing = name(&registry, "team/app:v9");
    let said = complaint(anonymous("ls").arg(&missing), 2);
    let expected = format!(
        "error: {missing}: manifest v9, at {}, attempt 1: status 404: MANIFEST_UNKNOWN\n",
        registry.host()
    );
    assert_eq!(said, expected);
    let said = complaint(anonymous("ls").arg("docker://example.org/App"), 2);
    let reason = "`example.org/App` is not an image reference: the repository name is invalid";
    assert_eq!(said, format!("error: docker://example.org/App: {reason}\n"));
    let said = complaint(anonymous("ls").arg(fixture.bootstrap()), 2);
    assert!(
        said.starts_with("error: --plain-http needs an image in a registry"),
        "{said}"
    );
    let layout = three_layers(&fixture).name();
    let said = complaint(anonymous("ls").arg(&layout), 2);
    assert!(said.contains(&format!("which {layout} is not")), "{said}");
    let other = format!("oci:{}:v1", fixture.path("other").display());
    let mut convert = anonymous("convert");
    let said = complaint(convert.args(["--to", "oci", &layout, &other]), 2);
    assert!(said.contains(&format!("which {layout} is not")), "{said}");
    // By TLS unless asked otherwise.
    let before = registry.lines().len();
    let mut ls = example("ls");
    ls.args(["--mirror", "ftp://x"]).arg(&missing);
    let said = complaint(&mut ls, 2);
    assert!(said.contains("a mirror: the URL is not"), "{said}");
    assert_eq!(registry.lines().len(), before);
}

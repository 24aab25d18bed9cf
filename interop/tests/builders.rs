//! Images of five layers by real builders, converted in the registry, and run.

use lazyoci_interop::{Finished, Registry, Runnable, script};

/// Whiteouts, a directory that is emptied and made again, replaced kinds (directory, symbolic link, directory again), hard
/// links within and over layers, a capability, a pipe, owners, and modes.
const CONTAINERFILE: &str = r"
ARG BASE
FROM $BASE
RUN mkdir -p /srv/opaque/deep /srv/turns /srv/goes/all && echo below >/srv/opaque/below \
    && echo deep >/srv/opaque/deep/file && echo gone >/srv/gone && echo into >/srv/turns/into \
    && echo with >/srv/goes/all/with && echo one >/srv/one && ln /srv/one /srv/two && ln -s one /srv/link \
    && chmod 711 /srv/goes
RUN rm /srv/gone && rm -r /srv/opaque && mkdir /srv/opaque && echo above >/srv/opaque/above \
    && ln /srv/one /srv/three && rm -r /srv/goes && mv /capable /srv/capable
RUN rm -r /srv/turns && ln -s opaque /srv/turns && mkfifo /srv/pipe && chmod 4755 /srv/opaque/above && mkdir /srv/goes
RUN rm /srv/turns && mkdir /srv/turns && echo back >/srv/turns/back && chown 12:34 /srv/turns/back && rm /srv/link
";

/// What the walker lists of a file with that capability, behind its times: the digest of its one attribute.
const CAPABLE: &str = "\t1:aa6bf4f476184a80\t12:";

fn by(builder: &str) {
    let registry = Registry::start();
    let repository = format!("lazyoci/{builder}-{}", std::process::id());
    let repository = registry.repository(&repository);
    let mut image = Runnable::built(builder, CONTAINERFILE, &format!("{repository}:v1"));
    if builder == "umoci" {
        // Layers of umoci have no entry for a directory in which only an entry has changed.
        image.retimed.push("/srv/opaque".into());
    }
    assert_eq!(image.layers.len(), 5);
    assert!(image.shows(CAPABLE), "{builder}");
    assert_eq!(image.digest_of(&image.name), image.expected, "{builder}");
    for (tag, from, options) in [
        ("v6", "v1", &["--to", "nydus"][..]),
        ("v5", "v1", &["--to", "nydus", "--fs-version", "5"]),
        ("estargz", "v1", &["--to", "estargz"]),
        ("oci", "v1", &["--to", "oci"]),
        // The way back.
        ("of-v6", "v6", &["--to", "oci"]),
        ("of-estargz", "estargz", &["--to", "oci"]),
    ] {
        let name = format!("{repository}:{tag}");
        let published = format!("docker://{name}");
        let from = format!("docker://{repository}:{from}");
        let made = image.convert_from(&from, options, &published);
        image.survives_skopeo(&name, &made["published"]);
        assert_eq!(
            image.digest_of(&published),
            image.expected,
            "{builder}, {tag}"
        );
        match options[1] {
            "nydus" => image.runs_lazily(&name),
            _ => image.runs_unpacked(&name),
        }
    }
}

/// A command of `runtimes/builders.sh`.
fn docker(command: &str, arguments: &[&str]) {
    let mut docker = script("runtimes/builders.sh");
    let _ = Finished::of(docker.arg(command).args(arguments)).ok();
}

#[test]
fn buildah_s_images_convert_and_run() {
    by("buildah");
}

#[test]
fn podman_s_images_convert_and_run() {
    by("podman");
}

#[test]
fn umoci_s_images_convert_and_run() {
    by("umoci");
}

#[test]
fn images_of_docker_s_legacy_builder_convert_and_run() {
    by("docker-legacy");
}

#[test]
fn images_of_buildkit_convert_and_run() {
    by("docker-buildkit");
}

/// `docker save` of 20.10 is read, and what is written for it is loaded and saved again.
#[test]
fn archives_of_docker_are_read() {
    let registry = Registry::start();
    let repository = format!("lazyoci/saved-{}", std::process::id());
    let name = format!("{}:v1", registry.repository(&repository));
    let image = Runnable::built("docker-legacy", CONTAINERFILE, &name);
    let saved = image.dir.path().join("saved.tar");
    docker("archive", &[&name, saved.to_str().expect("UTF-8")]);
    let archive = format!("docker-archive:{}", saved.display());
    assert_eq!(image.digest_of(&archive), image.expected);

    let again = name.replace(":v1", ":again");
    let ours = image.dir.path().join("ours.tar");
    let _ = image.convert(
        &["--to", "oci"],
        &format!("docker-archive:{}:{again}", ours.display()),
    );
    docker("load", &[ours.to_str().expect("UTF-8")]);
    let resaved = image.dir.path().join("again.tar");
    docker("archive", &[&again, resaved.to_str().expect("UTF-8")]);
    let archive = format!("docker-archive:{}", resaved.display());
    assert_eq!(image.digest_of(&archive), image.expected);
}

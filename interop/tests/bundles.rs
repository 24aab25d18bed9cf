//! Bundles of whole images, against those of umoci, and run by runc.

use std::path::Path;

use lazyoci_interop::{Finished, lazyoci, scratch, tool};
use serde_json::{Value, json};

/// Says as whom it runs, where, with what, and what it may do.
const PROGRAM: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments) {
    gid_t groups[64];
    char here[256], line[256];
    int known = getgroups(64, groups);
    printf("user %d:%d", getuid(), getgid());
    for (int i = 0; i < known; i++) printf(" %d", groups[i]);
    printf("\nin %s\n", getcwd(here, sizeof here));
    for (int i = 1; i < count; i++) printf("argument %s\n", arguments[i]);
    for (char **entry = environ; *entry; entry++) printf("variable %s\n", *entry);
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "CapBnd", 6) || !strncmp(line, "NoNewPrivs", 10)) printf("%s", line);
    printf("pid %d, volume %s\n", getpid(), access("/data", W_OK) ? "no" : "yes");
    return 7;
}
"#;

/// The image `layout:v1` of a program, with users.
fn image(dir: &Path) {
    std::fs::create_dir_all(dir.join("root/bin")).expect("a directory");
    std::fs::create_dir_all(dir.join("root/etc")).expect("a directory");
    for (path, text) in [
        ("program.c", PROGRAM),
        (
            "root/etc/passwd",
            "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n",
        ),
        (
            "root/etc/group",
            "root:x:0:\nweb:x:34:\nlog:x:4:root,web\nother:x:29:web\n",
        ),
    ] {
        std::fs::write(dir.join(path), text).expect("a file");
    }
    tool(
        "cc",
        dir,
        &[
            "-D_GNU_SOURCE",
            "-static",
            "-o",
            "root/bin/say",
            "program.c",
        ],
    );
    tool(
        "tar",
        dir,
        &["-C", "root", "-cf", "layer.tar", "bin", "etc"],
    );
    tool("umoci", dir, &["init", "--layout", "layout"]);
    tool("umoci", dir, &["new", "--image", "layout:v1"]);
    tool(
        "umoci",
        dir,
        &["raw", "add-layer", "--image", "layout:v1", "layer.tar"],
    );
}

/// What the image says of its containers, in the words of umoci.
fn configure(dir: &Path, options: &[&str]) {
    let config = [&["config", "--image", "layout:v1"], options].concat();
    tool("umoci", dir, &config);
}

/// Our bundle.
fn unpack(dir: &Path, image: &str, bundle: &str) -> Value {
    let mut unpack = lazyoci("unpack");
    let unpack = unpack
        .current_dir(dir)
        .args(["--force", "--bundle", image, bundle]);
    let _ = Finished::of(unpack).ok();
    read(&dir.join(bundle))
}

fn read(bundle: &Path) -> Value {
    let text = std::fs::read(bundle.join("config.json")).expect("it is there");
    serde_json::from_slice(&text).expect("JSON")
}

/// Takes out what umoci and containerd, whose defaults we have, do not agree on: a terminal, capabilities, a
/// host name, what is masked, options of `/proc`, annotations without a text, and that the user's group is among the additional ones.
fn comparable(mut config: Value) -> Value {
    config["hostname"].take();
    for key in ["terminal", "capabilities"] {
        config["process"][key].take();
    }
    let gid = config["process"]["user"]["gid"].clone();
    let groups = config["process"]["user"]["additionalGids"].take();
    let groups = groups.as_array().cloned().unwrap_or_default();
    let others: Vec<_> = groups.into_iter().filter(|other| *other != gid).collect();
    config["process"]["user"]["additionalGids"] = others.into();
    for key in ["maskedPaths", "readonlyPaths"] {
        config["linux"][key].take();
    }
    config["mounts"][0]["options"].take();
    if let Some(annotations) = config["annotations"].as_object_mut() {
        annotations.retain(|_, value| value != "");
    }
    config
}

/// Whatever an image says comes to the same in the `config.json` of both; of volumes and ports one, as umoci has them
/// in no order.
#[test]
fn bundles_are_those_of_umoci() {
    let dir = scratch();
    let dir = dir.path();
    image(dir);
    for (number, options) in [
        &[][..],
        &[
            "--config.user",
            "web",
            "--config.cmd",
            "a",
            "--config.cmd",
            "b",
        ],
        &["--config.user", "33:log", "--config.entrypoint", "/bin/say"],
        &[
            "--config.user",
            "root",
            "--config.env",
            "A=1",
            "--config.env",
            "PATH=/bin",
        ],
        &[
            "--config.user",
            "1234:77",
            "--config.workingdir",
            "/w",
            "--config.stopsignal",
            "SIGQUIT",
        ],
        &["--config.user", "1234", "--config.volume", "/data"],
        &[
            "--config.user",
            "web",
            "--config.label",
            "x=y",
            "--author",
            "me",
            "--created",
            "2020-01-01T00:00:00Z",
        ],
        // A user who has no home: umoci has another one's in the place of the image's.
        &[
            "--config.user",
            "1234",
            "--config.exposedports",
            "80/tcp",
            "--config.env",
            "HOME=/x",
        ],
    ]
    .into_iter()
    .enumerate()
    {
        configure(dir, options);
        let theirs = format!("theirs-{number}");
        tool("umoci", dir, &["unpack", "--image", "layout:v1", &theirs]);
        let (ours, theirs) = (
            unpack(dir, "oci:layout:v1", "ours"),
            read(&dir.join(theirs)),
        );
        assert_eq!(comparable(ours), comparable(theirs), "{options:?}");
    }
}

/// What a program in the container sees.
fn runc(dir: &Path, bundle: &str) -> String {
    let mut runc = std::process::Command::new("runc");
    let id = format!("lazyoci-{}", std::process::id());
    runc.current_dir(dir)
        .args(["--root", "runc", "run", "--bundle", bundle, &id]);
    Finished::of(&mut runc).exits(7).text().to_owned()
}

#[test]
fn runc_runs_a_bundle() {
    let dir = scratch();
    let dir = dir.path();
    image(dir);
    let options = [
        "--config.user",
        "web",
        "--config.env",
        "A=1",
        "--config.workingdir",
        "/new",
    ];
    configure(dir, &options);
    let options = [
        "--config.entrypoint",
        "/bin/say",
        "--config.cmd",
        "hello world",
        "--config.volume",
        "/data",
    ];
    configure(dir, &options);
    let expected = "user 33:34 4 29 34\n\
        in /new\n\
        argument hello world\n\
        variable PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
        variable TERM=xterm\n\
        variable A=1\n\
        variable HOME=/srv\n\
        CapBnd:\t00000000a80425fb\n\
        NoNewPrivs:\t1\n\
        pid 1, volume yes";
    // Whatever the image is in, and however its layers are stored.
    for (to, image) in [
        ("oci", "oci-archive:oci.tar:v1"),
        ("oci", "docker-archive:docker.tar:say:v1"),
        ("estargz", "oci:made:estargz"),
        ("nydus", "oci:made:nydus"),
    ] {
        let mut convert = lazyoci("convert");
        let convert = convert
            .current_dir(dir)
            .args(["--to", to, "oci:layout:v1", image]);
        let _ = Finished::of(convert).ok();
        let config = unpack(dir, image, "bundle");
        assert_eq!(
            config["process"]["args"],
            json!(["/bin/say", "hello world"])
        );
        assert_eq!(runc(dir, "bundle"), expected, "{image}");
    }
}

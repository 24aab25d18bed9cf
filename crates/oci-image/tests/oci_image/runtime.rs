//! Configurations of containers.

use image_model::{Blame as _, Fault};
use lazyoci_oci_image::runtime::{Accounts, RuntimeError, container_config};
use lazyoci_oci_image::serde_json::{Value, json};
use lazyoci_oci_image::{DocumentError, ImageConfig};

const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n\
    broken:x:none:0::/:/bin/sh\n\
    short:x:5\n\
    \n\
    # not a user\n\
    web:x:33:34:,,,:/srv:/bin/sh\r\n\
    web:x:35:36::/twice:/bin/sh\n\
    1000:x:7:7::/number:/bin/sh\n\
    empty:x:8:9\n\
    :x:77:78::/none:\n\
    nul:x:9:9::/a\0b:/bin/sh\n";

const GROUP: &[u8] = b"root:x:0:\n\
    log:x:4:web,root\n\
    web:x:34:web\n\
    log:x:40:\n\
    broken:x::web\n\
    audio:x:29:other,web\n\
    again:x:29:web\n\
    none:x:50";

fn accounts() -> Accounts<'static> {
    Accounts::new(PASSWD, GROUP)
}

#[test]
fn users_are_names_or_numbers() {
    for (text, uid, gid, groups, home) in [
        ("", 0, 0, &[0, 4][..], Some("/root")),
        ("root", 0, 0, &[0, 4], Some("/root")),
        ("0", 0, 0, &[0, 4], Some("/root")),
        (":", 0, 0, &[0, 4], Some("/root")),
        (":log", 0, 4, &[4], Some("/root")),
        ("web", 33, 34, &[34, 4, 29], Some("/srv")),
        ("33", 33, 34, &[34, 4, 29], Some("/srv")),
        ("web:log", 33, 4, &[4], Some("/srv")),
        ("web:none", 33, 50, &[50], Some("/srv")),
        ("web:123", 33, 123, &[123], Some("/srv")),
        // A number is a user's, even if another one is called so.
        ("1000", 1000, 0, &[0], None),
        ("1000:5", 1000, 5, &[5], None),
        (
            "2147483647:2147483647",
            i32::MAX as u32,
            i32::MAX as u32,
            &[i32::MAX as u32],
            None,
        ),
        ("empty", 8, 9, &[9], None),
        ("nul", 9, 9, &[9], None),
        ("77", 77, 78, &[78], Some("/none")),
    ] {
        let user = accounts().user(text).unwrap();
        let found = (
            user.uid,
            user.gid,
            &user.additional_gids[..],
            user.home.as_deref(),
        );
        assert_eq!(found, (uid, gid, groups, home), "{text}");
    }
    let user = Accounts::default().user("7").unwrap();
    assert_eq!(
        (user.uid, user.gid, &user.additional_gids[..], user.home),
        (7, 0, &[0][..], None)
    );
}

#[test]
fn users_that_are_not_there_are_refused() {
    for (text, said) in [
        (
            "nobody",
            "there is no user `nobody` in the image's /etc/passwd",
        ),
        (
            "broken",
            "there is no user `broken` in the image's /etc/passwd",
        ),
        (
            "short",
            "there is no user `short` in the image's /etc/passwd",
        ),
        ("-1", "there is no user `-1` in the image's /etc/passwd"),
        (
            "web:wheel",
            "there is no group `wheel` in the image's /etc/group",
        ),
        (
            "web:broken",
            "there is no group `broken` in the image's /etc/group",
        ),
        ("a:b:c", "`a:b:c` names no user"),
        ("2147483648", "`2147483648` names no user"),
        (
            "0:99999999999999999999",
            "`0:99999999999999999999` names no user",
        ),
    ] {
        let error = accounts().user(text).unwrap_err();
        assert_eq!((&*error.to_string(), error.fault()), (said, Fault::Corrupt));
    }
}

fn image(config: Value) -> ImageConfig {
    let mut image = json!({
        "architecture": "amd64",
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [] },
    });
    if let (Value::Object(image), Value::Object(fields)) = (&mut image, config) {
        image.extend(fields);
    }
    ImageConfig::parse(image.to_string().as_bytes()).expect("a configuration")
}

fn container(config: Value) -> Result<Value, RuntimeError> {
    container_config(&image(config), &accounts())
}

/// All that an image may say.
#[test]
fn an_image_says_how_it_is_run() {
    let made = container(json!({
        "author": "me",
        "created": "2020-01-01T00:00:00Z",
        "config": {
            "User": "web",
            "ExposedPorts": { "80/tcp": {}, "53/udp": {} },
            "Env": ["A=1", "PATH=/bin", "B=x=y", "A=2"],
            "Entrypoint": ["/init", "-v"],
            "Cmd": ["serve"],
            "Volumes": { "/var/lib": {}, "data": {} },
            "WorkingDir": "srv",
            "Labels": { "x": "y", "org.opencontainers.image.author": "label" },
            "StopSignal": "SIGQUIT",
            "Healthcheck": {},
        },
    }));
    let made = made.unwrap();
    let capabilities = json!([
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FSETID",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_KILL",
        "CAP_AUDIT_WRITE"
    ]);
    let process = json!({
        "terminal": false,
        "user": { "uid": 33, "gid": 34, "additionalGids": [34, 4, 29] },
        "args": ["/init", "-v", "serve"],
        "env": ["PATH=/bin", "TERM=xterm", "A=2", "B=x=y", "HOME=/srv"],
        "cwd": "/srv",
        "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
        "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
        "noNewPrivileges": true,
    });
    assert_eq!(made["process"], process);
    let annotations = json!({
        "org.opencontainers.image.architecture": "amd64",
        "org.opencontainers.image.author": "label",
        "org.opencontainers.image.created": "2020-01-01T00:00:00Z",
        "org.opencontainers.image.exposedPorts": "53/udp,80/tcp",
        "org.opencontainers.image.os": "linux",
        "org.opencontainers.image.stopSignal": "SIGQUIT",
        "x": "y",
    });
    assert_eq!(made["annotations"], annotations);
    let tmpfs = |destination: &str| {
        let options = ["rw", "nosuid", "nodev", "noexec", "relatime"];
        json!({ "destination": destination, "type": "tmpfs", "source": "none", "options": options })
    };
    let mounts = made["mounts"].as_array().unwrap();
    let destinations: Vec<_> = mounts.iter().map(|mount| &mount["destination"]).collect();
    let default = [
        "/proc",
        "/dev",
        "/dev/pts",
        "/dev/shm",
        "/dev/mqueue",
        "/sys",
        "/sys/fs/cgroup",
    ];
    assert_eq!(destinations[..7], default);
    assert_eq!(mounts[7..], [tmpfs("/var/lib"), tmpfs("/data")]);
    let keys: Vec<_> = made.as_object().unwrap().keys().collect();
    let expected = [
        "ociVersion",
        "process",
        "root",
        "mounts",
        "linux",
        "annotations",
    ];
    assert_eq!(keys, expected);
}

#[test]
fn what_an_image_leaves_open_has_defaults() {
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for config in [
        json!({}),
        json!({ "config": null }),
        json!({ "config": {} }),
        json!({ "config": { "User": null, "Env": null, "Entrypoint": null, "Cmd": null, "Volumes": null,
            "ExposedPorts": null, "WorkingDir": null, "Labels": null, "StopSignal": null } }),
        json!({ "config": { "Env": [], "Entrypoint": [], "Cmd": [], "WorkingDir": "" } }),
    ] {
        let made = container(config).unwrap();
        let process = &made["process"];
        assert_eq!(process["args"], json!(["sh"]));
        assert_eq!(process["env"], json!([path, "TERM=xterm", "HOME=/root"]));
        assert_eq!(process["cwd"], "/");
        assert_eq!(made["mounts"].as_array().unwrap().len(), 7);
        let annotations = json!({
            "org.opencontainers.image.architecture": "amd64",
            "org.opencontainers.image.os": "linux",
        });
        assert_eq!(made["annotations"], annotations);
    }
    let made = container(json!({ "config": { "Cmd": ["x"], "Env": ["HOME=", "TERM=vt100"] } }));
    let process = &made.unwrap()["process"];
    assert_eq!(process["args"], json!(["x"]));
    assert_eq!(process["env"], json!([path, "TERM=vt100", "HOME="]));
    let nothing = json!({ "architecture": "", "os": "" });
    assert_eq!(container(nothing).unwrap().get("annotations"), None);
}

#[test]
fn images_that_cannot_be_run_are_refused() {
    for (config, said, fault) in [
        (
            json!({ "os": "windows" }),
            "the image is for windows; only images for Linux can be run as containers",
            Fault::Unsupported,
        ),
        (
            json!({ "config": { "Env": ["A"] } }),
            "`A` is no variable of an environment, as in `NAME=VALUE`",
            Fault::Corrupt,
        ),
        (
            json!({ "config": { "Env": ["=A"] } }),
            "`=A` is no variable of an environment, as in `NAME=VALUE`",
            Fault::Corrupt,
        ),
        (
            json!({ "config": { "User": "nobody" } }),
            "there is no user `nobody` in the image's /etc/passwd",
            Fault::Corrupt,
        ),
    ] {
        let error = container(config).unwrap_err();
        assert_eq!((&*error.to_string(), error.fault()), (said, fault));
    }
    for config in [
        json!({ "config": [] }),
        json!({ "config": { "Cmd": "sh" } }),
        json!({ "config": { "Labels": { "a": 1 } } }),
        // Go would take it for the user.
        json!({ "config": { "user": "0" } }),
    ] {
        let error = container(config).unwrap_err();
        let RuntimeError::Document(DocumentError::Json { what, .. }) = error else {
            panic!("{error:?}");
        };
        assert_eq!(what, "the field `config` of an image configuration");
    }
}

//! From the configuration of an image to that of a container (`config.json` of a runtime bundle).
//!
//! | module | holds |
//! |---|---|
//! | [`execution`] | [`Execution`]: what an image says of how its containers are started |
//! | [`user`] | [`Accounts`]: whom `USER[:GROUP]` means, by `/etc/passwd` and `/etc/group` of the image |
//!
//! Source: image-spec v1.1, conversion.md; runtime-spec v1.0. What an image leaves open is as containerd and
//! umoci have it.

pub mod execution;
mod linux;
pub mod user;

use std::collections::HashMap;

use image_model::{Blame, Fault};
use serde_json::{Value, json};

use crate::annotations::Annotations;
use crate::config::ImageConfig;
use crate::document::DocumentError;
pub use execution::Execution;
pub use user::{Accounts, User};

/// What is run if the image does not say.
const SHELL: &str = "sh";

/// What is in the environment unless the image says otherwise.
const ENVIRONMENT: [&str; 2] = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM=xterm",
];

/// Why an image cannot be run as a container.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The configuration is not what it should be.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// An image of another system than Linux.
    #[error("the image is for {os}; only images for Linux can be run as containers")]
    System {
        /// The system.
        os: String,
    },
    /// Whom it is to be run as is no `USER[:GROUP]`, or a number is too large.
    #[error("`{text}` names no user")]
    BadUser {
        /// What it says.
        text: String,
    },
    /// It is to be run as a user that it does not have.
    #[error("there is no user `{name}` in the image's /etc/passwd")]
    NoUser {
        /// The user.
        name: String,
    },
    /// It is to be run as a group that it does not have.
    #[error("there is no group `{name}` in the image's /etc/group")]
    NoGroup {
        /// The group.
        name: String,
    },
    /// A variable of the environment that is none.
    #[error("`{entry}` is no variable of an environment, as in `NAME=VALUE`")]
    Environment {
        /// What it says.
        entry: String,
    },
}

impl Blame for RuntimeError {
    fn fault(&self) -> Fault {
        match self {
            Self::Document(error) => error.fault(),
            Self::System { .. } => Fault::Unsupported,
            Self::BadUser { .. }
            | Self::NoUser { .. }
            | Self::NoGroup { .. }
            | Self::Environment { .. } => Fault::Corrupt,
        }
    }
}

/// The configuration of a container that runs the image, with its files in `rootfs` beside it, in new
/// namespaces and without a terminal.
///
/// | of the image | becomes |
/// |---|---|
/// | `Entrypoint`, `Cmd` | `process.args`, one behind the other; `sh` if both are empty |
/// | `Env` | `process.env`, over a default `PATH` and `TERM=xterm`; the user's `HOME` unless it has one |
/// | `WorkingDir` | `process.cwd`, from the root |
/// | `User` | `process.user`, by `accounts` |
/// | `Volumes` | a tmpfs each, in the order of their names |
/// | `Labels` | `annotations`, over those of conversion.md: `org.opencontainers.image.os`, `.architecture`, `.author`, `.created`, `.stopSignal`, `.exposedPorts` |
///
/// Capabilities, mounts, and paths that are masked or read-only are containerd's defaults. The host's name is
/// not set, and nothing depends on this machine.
///
/// ```
/// use lazyoci_oci_image::ImageConfig;
/// use lazyoci_oci_image::runtime::{Accounts, container_config};
/// let json = br#"{"os":"linux","rootfs":{"type":"layers"},"config":{"Cmd":["id"],"User":"7"}}"#;
/// let config = container_config(&ImageConfig::parse(json)?, &Accounts::default())?;
/// assert_eq!(config["process"]["args"][0], "id");
/// assert_eq!(config["process"]["user"]["uid"], 7);
/// # Ok::<(), lazyoci_oci_image::runtime::RuntimeError>(())
/// ```
///
/// # Errors
/// [`RuntimeError`].
pub fn container_config(
    image: &ImageConfig,
    accounts: &Accounts<'_>,
) -> Result<Value, RuntimeError> {
    if !matches!(&*image.os, "linux" | "") {
        let os = image.os.clone();
        return Err(RuntimeError::System { os });
    }
    let execution = image.execution()?;
    let user = accounts.user(&execution.user)?;
    let mut args: Vec<_> = execution.entrypoint.iter().chain(&execution.cmd).collect();
    let shell = SHELL.to_owned();
    if args.is_empty() {
        args.push(&shell);
    }
    let mut mounts = linux::mounts();
    mounts.extend(
        execution
            .volumes
            .iter()
            .map(|volume| linux::volume(&from_root(volume))),
    );
    let mut config = json!({
        "ociVersion": "1.0.0",
        "process": {
            "terminal": false,
            "user": {
                "uid": user.uid,
                "gid": user.gid,
                "additionalGids": user.additional_gids,
            },
            "args": args,
            "env": environment(&execution, &user)?,
            "cwd": from_root(&execution.working_dir),
            "capabilities": linux::capabilities(),
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs" },
        "mounts": mounts,
        "linux": linux::linux(),
    });
    let annotations = annotations(image, &execution);
    if !annotations.is_empty() {
        config["annotations"] = json!(annotations);
    }
    Ok(config)
}

/// `path`, which begins at the root if it does not say where.
fn from_root(path: &str) -> String {
    match path.starts_with('/') {
        true => path.into(),
        false => format!("/{path}"),
    }
}

/// The image's environment over the default one: of a name the last value counts, where the first one stands.
fn environment(execution: &Execution, user: &User) -> Result<Vec<String>, RuntimeError> {
    let mut environment: Vec<String> = Vec::new();
    let mut places = HashMap::new();
    let given = execution.env.iter().map(String::as_str);
    for entry in ENVIRONMENT.into_iter().chain(given) {
        let name = entry.split_once('=').map(|(name, _)| name.to_owned());
        let name = name.filter(|name| !name.is_empty() && !entry.contains('\0'));
        let name = name.ok_or_else(|| RuntimeError::Environment {
            entry: entry.into(),
        })?;
        match places.get(&name) {
            Some(&place) => environment[place] = entry.to_owned(),
            None => {
                places.insert(name, environment.len());
                environment.push(entry.to_owned());
            }
        }
    }
    if let Some(home) = user.home.as_ref().filter(|_| !places.contains_key("HOME")) {
        environment.push(format!("HOME={home}"));
    }
    Ok(environment)
}

/// What conversion.md makes annotations of, and the labels.
fn annotations(image: &ImageConfig, execution: &Execution) -> Annotations {
    let text = |key| {
        image
            .rest
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let ports = execution.exposed_ports.join(",");
    let mut annotations = Annotations::default();
    for (key, value) in [
        ("os", &*image.os),
        ("architecture", &image.architecture),
        ("author", text("author")),
        ("created", text("created")),
        ("stopSignal", &execution.stop_signal),
        ("exposedPorts", &ports),
    ] {
        if !value.is_empty() {
            annotations.set(format!("org.opencontainers.image.{key}"), value);
        }
    }
    for (key, value) in execution.labels.iter() {
        annotations.set(key, value);
    }
    annotations
}

//! What every container is given.

use serde_json::{Value, json};

/// What a process may have of root's rights.
const CAPABILITIES: [&str; 14] = [
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
    "CAP_AUDIT_WRITE",
];

/// What of the host is not to be seen.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/proc/scsi",
];

/// What of the host is not to be changed.
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// Destination, type, source and options of the mounts.
const MOUNTS: [(&str, &str, &str, &[&str]); 7] = [
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    (
        "/dev",
        "tmpfs",
        "tmpfs",
        &["nosuid", "strictatime", "mode=755", "size=65536k"],
    ),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &[
            "nosuid",
            "noexec",
            "newinstance",
            "ptmxmode=0666",
            "mode=0620",
            "gid=5",
        ],
    ),
    (
        "/dev/shm",
        "tmpfs",
        "shm",
        &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
    ),
    (
        "/dev/mqueue",
        "mqueue",
        "mqueue",
        &["nosuid", "noexec", "nodev"],
    ),
    (
        "/sys",
        "sysfs",
        "sysfs",
        &["nosuid", "noexec", "nodev", "ro"],
    ),
    (
        "/sys/fs/cgroup",
        "cgroup",
        "cgroup",
        &["nosuid", "noexec", "nodev", "relatime", "ro"],
    ),
];

/// The rights of the process: in none of the sets that are handed on to programs without being asked for.
pub(super) fn capabilities() -> Value {
    json!({
        "bounding": CAPABILITIES,
        "effective": CAPABILITIES,
        "permitted": CAPABILITIES,
    })
}

pub(super) fn mounts() -> Vec<Value> {
    MOUNTS.into_iter().map(mount).collect()
}

/// A directory that a container writes to.
pub(super) fn volume(destination: &str) -> Value {
    let options = ["rw", "nosuid", "nodev", "noexec", "relatime"];
    mount((destination, "tmpfs", "none", &options))
}

fn mount((destination, kind, source, options): (&str, &str, &str, &[&str])) -> Value {
    json!({ "destination": destination, "type": kind, "source": source, "options": options })
}

pub(super) fn linux() -> Value {
    let namespaces = ["pid", "network", "ipc", "uts", "mount"];
    json!({
        "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
        "namespaces": namespaces.map(|kind| json!({ "type": kind })),
        "maskedPaths": MASKED,
        "readonlyPaths": READ_ONLY,
    })
}

//! The scripts beside the crates, as far as every machine has what they need.
#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use crate::text;

#[test]
fn scripts_print_their_help_wherever_they_are_called_from() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for script in ["run.sh", "peers.sh", "check_peers.sh", "mount/mount.sh"] {
        let from_root = format!("interop/{script}");
        for (directory, script) in [
            (root.to_path_buf(), &*from_root),
            (root.join("interop"), script),
        ] {
            let mut command = Command::new("bash");
            command.arg(script).arg("--help").current_dir(&directory);
            let help = text(&mut command);
            assert!(help.lines().count() > 3, "{command:?}: {help}");
        }
    }
}

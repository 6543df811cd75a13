//! `millstream up` on the usual ports of a loopback address that nobody else uses.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::Process;

/// Starts it over `data`, with further settings as `part.key=value`; returns once it serves.
pub fn up(binary: &Path, data: &Path, address: &str, settings: &[&str]) -> Result<Process> {
    let mut command = Command::new(binary);
    command.args(["up", "--data"]).arg(data);
    for (setting, port) in [
        ("nameserver.listen", 9876),
        ("broker.listen", 10911),
        ("broker.nameservers", 9876),
        ("connect.listen", 8083),
        ("admin.listen", 8084),
    ] {
        command.args(["--set", &format!("{setting}={address}:{port}")]);
    }
    for setting in settings {
        command.args(["--set", setting]);
    }
    let process = Process::start("millstream", &mut command)?;
    process.says("broker  ")?;
    Ok(process)
}

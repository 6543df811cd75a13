//! Ours: the whole program by `up`, or the example that is the broker alone.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use peers::{Process, up};

use super::{Flush, Place};

/// The file name of the broker alone.
const BROKER_ALONE: &str = "broker";

pub fn broker(binary: &Path, place: &Place) -> Result<Process> {
    if !is_alone(binary) {
        let settings: &[&str] = match place.flush {
            Flush::Async => &[],
            Flush::Sync => &["store.flush=sync"],
        };
        return up(binary, &place.folder, place.address, settings);
    }
    let mut command = Command::new(binary);
    command
        .arg(&place.folder)
        .args(["--listen", &place.broker()])
        .args(["--name-server", &place.name_server()]);
    if place.flush == Flush::Sync {
        command.arg("--sync");
    }
    let process = Process::start("the broker alone", &mut command)?;
    process.says("broker  ")?;
    Ok(process)
}

pub fn configuration(binary: &Path, flush: Flush) -> String {
    let program = match is_alone(binary) {
        true => "the broker without streams and connectors",
        false => "`millstream up`",
    };
    match flush {
        Flush::Async => format!("{program}, as it comes"),
        Flush::Sync => format!("{program}, `store.flush=sync`"),
    }
}

fn is_alone(binary: &Path) -> bool {
    binary.file_name().is_some_and(|name| name == BROKER_ALONE)
}

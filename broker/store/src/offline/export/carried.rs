//! What a RocketMQ before us kept beside its log for services that we do not have: it goes on
//! with it as it was.

use std::path::Path;

use runtime::{Disk, Open};

use super::target::Target;
use super::{ExportError, writing};

/// Timers, and the state of consumers that pop or filter. Where RocketMQ did not find these it
/// would deliver every timer of the log again.
const FILES: [&str; 9] = [
    "timerwheel",
    "config/timercheck",
    "config/timermetrics",
    "config/transactionMetrics",
    "config/consumerFilter.json",
    "config/consumerOrderInfo.json",
    "config/messageRequestMode.json",
    "config/topicQueueMapping.json",
    "compaction/position-checkpoint",
];
const TIMER_LOG: &str = "timerlog";
const FOLDERS: [&str; 3] = [
    TIMER_LOG,
    "compaction/compactionLog",
    "compaction/compactionCq",
];
const CHUNK: u64 = 1 << 20;

/// The answer is how long a file of the timer log is, if there is one.
pub(super) fn carry(
    disk: &dyn Disk,
    root: &Path,
    target: &Target,
) -> Result<Option<u64>, ExportError> {
    for name in FILES {
        for name in [name.to_owned(), format!("{name}.bak")] {
            let (from, to) = (root.join(&name), target.root().join(&name));
            if disk.exists(&from).map_err(writing)? {
                copy(disk, &from, &to)?;
            }
        }
    }
    for name in FOLDERS {
        carry_folder(disk, &root.join(name), &target.root().join(name))?;
    }
    let timers = root.join(TIMER_LOG);
    if !disk.exists(&timers).map_err(writing)? {
        return Ok(None);
    }
    let files = disk.list(&timers).map_err(writing)?;
    Ok(files.iter().map(|file| file.len).find(|len| *len > 0))
}

fn carry_folder(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), ExportError> {
    if !disk.exists(from).map_err(writing)? {
        return Ok(());
    }
    for entry in disk.list(from).map_err(writing)? {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        match entry.is_dir {
            true => carry_folder(disk, &from, &to)?,
            false => copy(disk, &from, &to)?,
        }
    }
    Ok(())
}

fn copy(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), ExportError> {
    let folder = to.parent().unwrap_or(Path::new(""));
    disk.create_dir_all(folder).map_err(writing)?;
    let source = disk.open(from, Open::Read).map_err(writing)?;
    let file = disk.open(to, Open::Create).map_err(writing)?;
    let len = source.len().map_err(writing)?;
    super::log::copy_bytes(source.as_ref(), file.as_ref(), len, CHUNK, &mut |_| ())
        .and_then(|()| file.set_len(len))
        .and_then(|()| file.fdatasync())
        .and_then(|()| disk.fsync_dir(folder))
        .map_err(writing)?;
    Ok(())
}

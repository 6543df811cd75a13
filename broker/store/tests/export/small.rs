//! Exports of small stores on a simulated disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::Disk;
use store::{ExportAs, ExportError, ExportShape, Exported, Offline, Settings, Target};

use crate::house::ROOT;

pub const TARGET: &str = "/export";

const SHAPE: ExportShape = ExportShape {
    queue_entries: 16,
    batch_entries: 16,
    index_slots: 50,
    index_entries: 100,
};

pub fn export(disk: &Arc<dyn Disk>, settings: &Settings) -> Result<Exported, ExportError> {
    export_to(disk, settings, TARGET)
}

pub fn export_to(
    disk: &Arc<dyn Disk>,
    settings: &Settings,
    target: &str,
) -> Result<Exported, ExportError> {
    let offline = Offline::open(ROOT.into(), disk.clone())?;
    let target = Target::begin(disk.clone(), Path::new(target))?;
    let how = ExportAs {
        shape: SHAPE,
        settings,
        holds_batches: &|_| false,
    };
    let exported = offline.export(&target, &how, &mut |_| (), &mut |_, _, _| ())?;
    target.put("config/topics.json", b"{}")?;
    target.finish()?;
    Ok(exported)
}

/// Every file below a folder, and what is in it.
pub fn files(disk: &Arc<dyn Disk>, root: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in disk.list(&folder).expect("it is listed") {
            let path = folder.join(&entry.name);
            match entry.is_dir {
                true => folders.push(path),
                false => drop(files.insert(path.clone(), disk.read(&path).expect("a file"))),
            }
        }
    }
    files
}

/// The entries of a queue: log offset, size, tags code.
pub fn entries(disk: &Arc<dyn Disk>, queue: &str, file: u64) -> Vec<(u64, u32, i64)> {
    let path = format!("{TARGET}/consumequeue/{queue}/{file:020}");
    let bytes = disk.read(Path::new(&path)).expect("the queue has files");
    let entry = |bytes: &[u8]| {
        let (at, rest) = bytes.split_first_chunk().expect("twenty bytes");
        let (size, rest) = rest.split_first_chunk().expect("twelve bytes");
        let (tags, _) = rest.split_first_chunk().expect("eight bytes");
        (
            u64::from_be_bytes(*at),
            u32::from_be_bytes(*size),
            i64::from_be_bytes(*tags),
        )
    };
    bytes.chunks_exact(20).map(entry).collect()
}

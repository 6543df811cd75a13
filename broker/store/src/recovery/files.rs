//! Which files the log consists of, and whether that can be right.

use std::sync::Arc;

use runtime::{Disk, Open};

use crate::Error;
use crate::layout::Layout;
use crate::segment::{Segment, file_start};
use crate::segments::UNREADY;

/// Opens the log's files in order. Refuses what no crash of ours leaves behind: a file that is
/// missing in the middle, empty in the middle, or not a segment at all.
pub(crate) fn open_segments(disk: &dyn Disk, layout: &Layout) -> Result<Vec<Arc<Segment>>, Error> {
    let doing = "opening the log";
    disk.create_dir_all(&layout.log)
        .map_err(Error::disk(doing))?;
    let mut found = Vec::new();
    let mut unlinked = false;
    for entry in disk.list(&layout.log).map_err(Error::disk(doing))? {
        if entry.name.ends_with(UNREADY) {
            disk.unlink(&layout.log.join(&entry.name))
                .map_err(Error::disk(doing))?;
            unlinked = true;
            continue;
        }
        match file_start(&entry.name) {
            Some(start) if !entry.is_dir => found.push((start, entry)),
            _ => {
                let why = format!(
                    "{:?} in the log's directory is not a segment; move it away",
                    entry.name
                );
                return Err(refused(layout, why));
            }
        }
    }
    found.sort_by_key(|(start, _)| *start);
    // RocketMQ leaves an empty file behind when it is killed while making one.
    if let Some((_, last)) = found.pop_if(|(_, entry)| entry.len == 0) {
        disk.unlink(&layout.log.join(&last.name))
            .map_err(Error::disk(doing))?;
        unlinked = true;
    }
    if unlinked {
        disk.fsync_dir(&layout.log).map_err(Error::disk(doing))?;
    }
    let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(found.len());
    for (start, entry) in found {
        check_neighbour(layout, segments.last(), start, &entry.name)?;
        if entry.len == 0 {
            return Err(refused(
                layout,
                format!("segment {} is empty; restore it", entry.name),
            ));
        }
        let path = layout.log.join(&entry.name);
        let file = disk.open(&path, Open::Write).map_err(Error::disk(doing))?;
        segments.push(Arc::new(Segment {
            start,
            len: entry.len,
            file,
            path,
        }));
    }
    Ok(segments)
}

fn check_neighbour(
    layout: &Layout,
    before: Option<&Arc<Segment>>,
    start: u64,
    name: &str,
) -> Result<(), Error> {
    let Some(before) = before else { return Ok(()) };
    if before.end() == start {
        return Ok(());
    }
    let why = if before.end() < start {
        format!(
            "between {:?} and {name} the log from {} to {start} is missing",
            before.path,
            before.end()
        )
    } else {
        format!(
            "{:?} reaches to {}, but {name} begins at {start}",
            before.path,
            before.end()
        )
    };
    Err(refused(layout, why))
}

pub(crate) fn refused(layout: &Layout, why: String) -> Error {
    Error::Refused {
        path: layout.root.clone(),
        why,
    }
}

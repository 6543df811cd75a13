//! Which file a path means, and what stands at its front.

use std::io;
use std::path::Path;
use std::sync::Arc;

use runtime::{Disk, File, FileId, Open};

use crate::position::Stored;

/// Bytes looked through at a time.
const BLOCK: usize = 1 << 20;

pub(crate) type Found = (Arc<dyn File>, FileId, u64);

/// The file that was read last if the path or a neighbour of it still is that file, else the
/// one the path names.
pub(crate) fn find(disk: &dyn Disk, path: &Path, stored: Option<Stored>) -> io::Result<Found> {
    let named = open(disk, path);
    let Some(stored) = stored else { return named };
    if named.as_ref().is_ok_and(|(_, id, _)| stored.is_in(*id)) {
        return named;
    }
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    for entry in disk.list(directory).unwrap_or_default() {
        if entry.is_dir {
            continue;
        }
        match open(disk, &directory.join(&entry.name)) {
            Ok(found) if stored.is_in(found.1) => return Ok(found),
            _ => {}
        }
    }
    named
}

fn open(disk: &dyn Disk, path: &Path) -> io::Result<Found> {
    let file = disk.open(path, Open::Read)?;
    let (id, len) = (file.id()?, file.len()?);
    Ok((file, id, len))
}

pub(crate) fn read_up_to(file: &dyn File, limit: usize) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.len()?).unwrap_or(limit).min(limit);
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.pread(&mut bytes[filled..], filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// How many lines end before a place.
pub(crate) fn lines_before(file: &dyn File, place: u64) -> io::Result<u64> {
    let (mut bytes, mut at, mut lines) = (vec![0; BLOCK], 0, 0);
    while at < place {
        let wanted = usize::try_from(place - at).map_or(BLOCK, |left| left.min(BLOCK));
        let read = file.pread(&mut bytes[..wanted], at)?;
        if read == 0 {
            break;
        }
        lines += memchr::memchr_iter(b'\n', &bytes[..read]).count() as u64;
        at += read as u64;
    }
    Ok(lines)
}

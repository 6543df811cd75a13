//! What a repair is going to tell, written down before it takes anything away.
//!
//! That records were lost is often known from what is left of them, and a repair takes that out
//! of the log before it tells. If it is killed in between, only this file knows what the next
//! one has to tell; until then no start may give an offset out. It goes when the repair is
//! complete.
//!
//! ```text
//! crc 4 | what a record that tells has as its body
//! ```

use runtime::Disk;

use super::{Told, decode, encode};
use crate::Error;
use crate::layout::Layout;

/// Notes what is going to be told, durably.
pub(crate) fn begin(disk: &dyn Disk, layout: &Layout, told: &Told) -> Result<(), Error> {
    let doing = "noting what is going to be told";
    let path = &layout.unfinished;
    if let Some(folder) = path.parent() {
        disk.create_dir_all(folder).map_err(Error::disk(doing))?;
    }
    let body = encode(told);
    let bytes = [&crc32fast::hash(&body).to_be_bytes()[..], &body].concat();
    disk.replace(path, &bytes).map_err(Error::disk(doing))
}

/// What a repair that was not completed was going to tell: nothing if that cannot be read any
/// more. `None` if there is no such repair.
pub(crate) fn begun(disk: &dyn Disk, layout: &Layout) -> Result<Option<Told>, Error> {
    let doing = "looking for a repair that was not completed";
    let path = &layout.unfinished;
    if !disk.exists(path).map_err(Error::disk(doing))? {
        return Ok(None);
    }
    let bytes = disk.read(path).map_err(Error::disk(doing))?;
    let told = bytes.split_first_chunk::<4>().and_then(|(crc, body)| {
        (crc32fast::hash(body) == u32::from_be_bytes(*crc)).then(|| decode(body))?
    });
    Ok(Some(told.unwrap_or_default()))
}

/// Notes that everything is told and mended, durably.
pub(crate) fn complete(disk: &dyn Disk, layout: &Layout) -> Result<(), Error> {
    let doing = "noting that a repair is complete";
    let path = &layout.unfinished;
    if !disk.exists(path).map_err(Error::disk(doing))? {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(&layout.root);
    disk.unlink(path)
        .and_then(|()| disk.fsync_dir(folder))
        .map_err(Error::disk(doing))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::{QueueId, Topic};
    use runtime::{Rng, SimDisk};

    use super::super::Loss;
    use super::*;

    #[test]
    fn what_is_noted_reads_back_until_all_is_complete() {
        let disk = SimDisk::new(Rng::seeded(1)).mount();
        let layout = Layout::new(Path::new("/store"));
        assert_eq!(begun(disk.as_ref(), &layout).ok(), Some(None));
        let loss = Loss {
            queue: QueueId::new(Topic::stored("t").expect("a topic"), 7),
            from: 1,
            to: 3,
        };
        let told = Told {
            losses: vec![loss],
            stretches: vec![(4, 400)],
        };
        begin(disk.as_ref(), &layout, &told).expect("it is noted");
        assert_eq!(begun(disk.as_ref(), &layout).ok(), Some(Some(told)));
        let damaged = disk.replace(&layout.unfinished, &[7; 30]);
        damaged.expect("it is written");
        let nothing = Some(Some(Told::default()));
        assert_eq!(begun(disk.as_ref(), &layout).ok(), nothing);
        complete(disk.as_ref(), &layout).expect("it goes");
        assert_eq!(begun(disk.as_ref(), &layout).ok(), Some(None));
    }
}

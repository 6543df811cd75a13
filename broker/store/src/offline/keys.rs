//! Compares the files of the key index with the log.

use runtime::Open;

use super::finding::{Check, Finding};
use super::plan::Step;
use crate::Error;
use crate::key_index::{Stretch, Unreadable, read_file, stretch_of};
use crate::recovery::Facts;

/// What the log says every file must hold.
#[derive(Default)]
pub(super) struct KeySums {
    /// In the order of the log.
    files: Vec<KeyFile>,
}

struct KeyFile {
    name: String,
    stretch: Stretch,
    sum: Sum,
}

/// Adds up keys in any order, so that two sides can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    keys: u64,
    mixed: u64,
}

impl Sum {
    fn add(&mut self, hash: u32, at: u64) {
        let mixed = (u64::from(hash) << 32 ^ at).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.keys += 1;
        self.mixed = self.mixed.wrapping_add(mixed ^ mixed >> 29);
    }
}

impl KeySums {
    pub(super) fn of_files(facts: &Facts<'_>) -> Result<Self, Error> {
        let (disk, directory) = (facts.disk, &facts.layout.keys);
        let doing = "looking for files of keys";
        if !disk.exists(directory).map_err(Error::disk(doing))? {
            return Ok(Self::default());
        }
        let entries = disk.list(directory).map_err(Error::disk(doing))?;
        let files = entries.into_iter().filter_map(|entry| {
            let stretch = stretch_of(&entry.name)?;
            Some(KeyFile {
                name: entry.name,
                stretch,
                sum: Sum::default(),
            })
        });
        Ok(Self {
            files: files.collect(),
        })
    }

    /// Takes the keys of the record at `at`.
    pub(super) fn add(&mut self, at: u64, hashes: &[u32]) {
        let behind = self.files.partition_point(|file| file.stretch.to <= at);
        let file = self.files.get_mut(behind);
        if let Some(file) = file.filter(|file| file.stretch.from <= at) {
            hashes.iter().for_each(|hash| file.sum.add(*hash, at));
        }
    }

    /// Notes the files that hold something else. Those that do not lie within the log of
    /// `begin..end` go at the next start.
    pub(super) fn compare(
        &self,
        facts: &Facts<'_>,
        (begin, end): (u64, u64),
        check: &mut Check,
    ) -> Result<(), Error> {
        let within = |file: &&KeyFile| file.stretch.from >= begin && file.stretch.to <= end;
        for file in self.files.iter().filter(within) {
            let path = facts.layout.keys.join(&file.name);
            let opened = facts.disk.open(&path, Open::Read);
            let opened = opened.map_err(Error::disk("opening a file of keys"))?;
            let mut sum = Sum::default();
            let add = |hash, at| sum.add(hash, at);
            let (position, what, harmless) = match read_file(opened.as_ref(), file.stretch, add) {
                Ok(()) if sum == file.sum => continue,
                Ok(()) => (None, "its keys are not those of the log", false),
                Err(Unreadable::Damaged(at)) => (Some(at), "the file of keys is damaged", true),
                Err(Unreadable::Disk(source)) => {
                    let doing = "reading a file of keys";
                    return Err(Error::Disk { doing, source });
                }
            };
            check.findings.push(Finding {
                file: format!("millstream/keys/{}", file.name),
                position,
                what: what.into(),
                repair: "it goes; it is made anew from the log".into(),
                harmless,
            });
            let name = file.name.clone();
            check.plan.add(Step::DropKeys { name });
        }
        Ok(())
    }
}

//! Takes the steps of a plan.

use std::sync::Arc;

use model::record::write_blank;
use runtime::{Disk, Open};

use super::finding::Check;
use super::lost_found::LostFound;
use super::plan::{Plan, Step};
use crate::Error;
use crate::checkpoint::{Position, begin_anew};
use crate::layout::Layout;
use crate::losses::{Told, append, filler, unfinished};
use crate::recovery::{Facts, MOVED, last_own, last_written, zero};
use crate::segment::{Segment, file_name};

const DOING: &str = "mending the log";
/// Bytes of the frame that closes a segment.
const BLANK: u64 = 8;
/// Bytes of the record at the beginning of a segment that holds nothing else.
const FIRST: u64 = 256;

pub(super) fn repair(
    disk: &Arc<dyn Disk>,
    layout: &Layout,
    check: &Check,
    said: &mut dyn FnMut(&str, bool),
) -> Result<(), Error> {
    let plan = &check.plan;
    if let Some(why) = &plan.hopeless {
        return Err(Error::Refused {
            path: layout.root.clone(),
            why: why.clone(),
        });
    }
    if plan.steps.is_empty() {
        return Ok(());
    }
    let mut repair = Repair {
        disk,
        layout,
        plan,
        lost_found: LostFound::open(disk.as_ref(), layout)?,
        segments: Vec::new(),
        end: 0,
    };
    if let Some(told) = plan.told() {
        unfinished::begin(disk.as_ref(), layout, told)?;
    }
    for step in &plan.steps {
        let text = step.to_string();
        said(&text, false);
        repair.take(step)?;
        said(&text, true);
    }
    unfinished::complete(disk.as_ref(), layout)
}

struct Repair<'a> {
    disk: &'a Arc<dyn Disk>,
    layout: &'a Layout,
    plan: &'a Plan,
    lost_found: LostFound<'a>,
    /// Opened once the files are in order.
    segments: Vec<Arc<Segment>>,
    /// Where the log ends.
    end: u64,
}

impl Repair<'_> {
    fn take(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            Step::SetAside { name, why } | Step::TakeOut { name, why } => {
                self.lost_found
                    .take(&self.layout.log, name, &format!("{name}-{why}"))
            }
            Step::Rename { from, to } => self.rename(from, to),
            Step::Extend { name, len } => self.extend(name, *len),
            Step::Shorten { name, start, len } => self.shorten(name, *start, *len),
            Step::Cut { at, until } => self.cut(*at, *until),
            Step::Tell { told, end } => self.tell(told, *end),
            Step::Forget { end } => self.forget(*end),
            Step::DropKeys { name } => self
                .forget_keys(|other| other == name)
                .map_err(Error::disk(DOING)),
            Step::SetAsideOld { folder } => self.lost_found.take(&self.layout.root, folder, folder),
            Step::Fill { from, to, stored } => self.fill(*from, *to, *stored),
            // With the last step, whichever that is.
            Step::Complete => Ok(()),
        }
    }

    /// Another file that is in the way steps aside if it has a name of its own to go to; else it
    /// goes to `lost+found`.
    fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let path = |name: &str| self.layout.log.join(name);
        let exists = |name: &str| self.disk.exists(&path(name)).map_err(Error::disk(DOING));
        let moved = format!("{from}{MOVED}");
        let source = if exists(&moved)? {
            moved
        } else {
            from.to_owned()
        };
        let rename = |from: &str, to: &str| {
            let renamed = self.disk.rename(&path(from), &path(to));
            renamed
                .and_then(|()| self.disk.fsync_dir(&self.layout.log))
                .map_err(Error::disk(DOING))
        };
        if exists(to)? {
            let mut steps = self.plan.steps.iter();
            match steps.any(|step| matches!(step, Step::Rename { from, .. } if from == to)) {
                true => rename(to, &format!("{to}{MOVED}"))?,
                false => {
                    let taken = format!("{to}-in-the-way");
                    self.lost_found.take(&self.layout.log, to, &taken)?;
                }
            }
        }
        rename(&source, to)
    }

    fn extend(&self, name: &str, len: u64) -> Result<(), Error> {
        let file = self.disk.open(&self.layout.log.join(name), Open::Create);
        file.and_then(|file| {
            file.set_len(len)?;
            file.fdatasync()?;
            self.disk.fsync_dir(&self.layout.log)
        })
        .map_err(Error::disk(DOING))
    }

    fn shorten(&self, name: &str, start: u64, len: u64) -> Result<(), Error> {
        let path = self.layout.log.join(name);
        let file = self.disk.open(&path, Open::Write);
        let file = file.map_err(Error::disk(DOING))?;
        let held = file.len().map_err(Error::disk(DOING))?;
        let segment = Segment {
            start,
            len: held,
            file,
            path,
            recycled: false,
        };
        let (from, to) = (start + len, start + held);
        self.lost_found.keep_bytes(&segment, from, to, "overlong")?;
        let cut = segment.file.set_len(len);
        cut.and_then(|()| segment.file.fdatasync())
            .map_err(Error::disk(DOING))
    }

    fn cut(&mut self, at: u64, until: u64) -> Result<(), Error> {
        let segment = self.holding(at)?;
        self.lost_found
            .keep_bytes(&segment, at, until, "behind-the-end")?;
        zero(&segment, at, until)
    }

    /// Old records show that a file was used before. Where the record that tells is written over
    /// the last of them, nobody could say any more that what is left of it is not this log's.
    fn tell(&mut self, told: &Told, end: u64) -> Result<(), Error> {
        self.open()?;
        let stored = self.plan.last_stored;
        let (disk, segments) = (self.disk.as_ref(), &mut self.segments);
        self.end = append(disk, self.layout, segments, end, told, stored)?;
        let segment = self.holding(self.end)?;
        match last_own(&segment, self.end, u64::MAX)? {
            Some(until) => self.cut(self.end, until),
            None => Ok(()),
        }
    }

    fn forget(&mut self, end: u64) -> Result<(), Error> {
        self.forget_keys(|_| true).map_err(Error::disk(DOING))?;
        let position = Position {
            durable: self.end.max(end),
            guard: self.plan.guard,
            ..Position::default()
        };
        let number = self.plan.generation + 1;
        begin_anew(
            self.disk.as_ref(),
            &self.layout.checkpoints,
            number,
            position,
        )
    }

    /// Deletes the files of keys that have such a name, if they are still there.
    fn forget_keys(&self, goes: impl Fn(&str) -> bool) -> std::io::Result<()> {
        let directory = &self.layout.keys;
        if !self.disk.exists(directory)? {
            return Ok(());
        }
        for entry in self.disk.list(directory)? {
            if goes(&entry.name) {
                self.disk.unlink(&directory.join(entry.name))?;
            }
        }
        self.disk.fsync_dir(directory)
    }

    fn fill(&mut self, from: u64, to: u64, stored: i64) -> Result<(), Error> {
        let segment = self.holding(from)?;
        self.lost_found.keep_bytes(&segment, from, to, "damaged")?;
        if to < segment.end() {
            return self.fill_with_records(&segment, from, to, stored);
        }
        if last_written(&segment, from, to)?.is_some() {
            zero(&segment, from, to)?;
        }
        // Too few for a filler; whoever reads the log goes past them.
        if to - from < BLANK {
            return Ok(());
        }
        // A segment's first record tells retention how old it is.
        let blank = match from == segment.start && to - from > 2 * FIRST {
            true => from + FIRST,
            false => from,
        };
        let left = u32::try_from(to - blank).ok();
        let left = left.filter(|left| u64::from(*left) >= BLANK);
        let left = left.ok_or_else(|| no_room(from))?;
        segment
            .file
            .write_all_at(&write_blank(left), blank - segment.start)
            .and_then(|()| segment.file.fdatasync())
            .map_err(Error::disk(DOING))?;
        match blank > from {
            true => self.fill_with_records(&segment, from, blank, stored),
            false => Ok(()),
        }
    }

    fn fill_with_records(
        &self,
        segment: &Segment,
        from: u64,
        to: u64,
        stored: i64,
    ) -> Result<(), Error> {
        let required = self.plan.guard.required(from);
        let records = filler(from, (to - from) as usize, required, stored)?;
        let records = records.ok_or_else(|| no_room(from))?;
        segment
            .file
            .write_all_at(&records, from - segment.start)
            .and_then(|()| segment.file.fdatasync())
            .map_err(Error::disk(DOING))
    }

    fn holding(&mut self, at: u64) -> Result<Arc<Segment>, Error> {
        self.open()?;
        let holding = self.segments.iter().find(|segment| segment.end() > at);
        holding.cloned().ok_or_else(|| no_room(at))
    }

    /// Opens the log, whose files are in order by now.
    fn open(&mut self) -> Result<(), Error> {
        if !self.segments.is_empty() {
            return Ok(());
        }
        let laid = Facts::gather(self.disk, self.layout)?.lay_out()?;
        for piece in laid.pieces {
            let path = self.layout.log.join(file_name(piece.start));
            let file = self.disk.open(&path, Open::Write);
            self.segments.push(Arc::new(Segment {
                start: piece.start,
                len: piece.len,
                file: file.map_err(Error::disk(DOING))?,
                path,
                recycled: false,
            }));
        }
        Ok(())
    }
}

fn no_room(at: u64) -> Error {
    Error::Corrupt {
        at: model::LogOffset(at),
        why: "there is no room for a filler".into(),
    }
}

//! Which files the log consists of, and whether that can be right.
//!
//! [`Survey`] is what the directory holds, [`Survey::lay_out`] what log that makes and what
//! speaks against it. A start refuses every [`Fault`]; a repair mends it.

mod fault;
mod layout_of_log;

use std::sync::Arc;

use model::record::Frame;
use runtime::{Disk, File, Open};

use super::Facts;
use super::scan::{HEAD, stated_offset};
use crate::Error;
use crate::guard::Guard;
use crate::layout::Layout;
use crate::segment::{Segment, file_start};
use crate::segments::UNREADY;

pub(crate) use fault::Fault;
pub(crate) use layout_of_log::{Laid, Piece};

/// Ends the name of a file that a repair is about to give another one.
pub(crate) const MOVED: &str = ".moved";
/// Bytes a segment must have: a filler of all of it.
const LEAST: u64 = 8;
/// No log is as long: a file that claims to lie behind this is none of its segments.
const FARTHEST: u64 = 1 << 62;
/// No record is longer.
const LONGEST: u32 = 256 << 20;

/// What the log's directory holds.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Sorted by name.
    pub found: Vec<Found>,
    /// Files that were being made when the process ended.
    pub unready: Vec<String>,
}

/// One entry of the directory.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub name: String,
    pub len: u64,
    /// Where it begins, by a segment's name.
    pub start: Option<u64>,
    pub first: First,
}

/// What a file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// Zeros: nothing was ever written.
    Nothing,
    /// A record or a filler that belongs where the name says.
    Here,
    /// A record, sound by its checksum, that belongs there.
    At(u64),
    /// Neither.
    Unclear,
}

/// Looks at the log's directory and changes nothing.
pub(crate) fn survey(disk: &dyn Disk, layout: &Layout) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    if !disk.exists(&layout.log).map_err(Error::disk(DOING))? {
        return Ok(survey);
    }
    for entry in disk.list(&layout.log).map_err(Error::disk(DOING))? {
        if entry.name.ends_with(UNREADY) {
            survey.unready.push(entry.name);
            continue;
        }
        let start = file_start(&entry.name).filter(|start| !entry.is_dir && *start < FARTHEST);
        let first = match entry.is_dir || entry.len == 0 {
            true => First::Unclear,
            false => {
                let path = layout.log.join(&entry.name);
                let file = disk.open(&path, Open::Read).map_err(Error::disk(DOING))?;
                first(file.as_ref(), entry.len, start).map_err(Error::disk(DOING))?
            }
        };
        survey.found.push(Found {
            name: entry.name,
            len: entry.len,
            start,
            first,
        });
    }
    Ok(survey)
}

const DOING: &str = "opening the log";

fn first(file: &dyn File, len: u64, start: Option<u64>) -> std::io::Result<First> {
    let mut head = vec![0; HEAD.min(len as usize)];
    file.read_exact_at(&mut head, 0)?;
    if head.iter().take(8).all(|byte| *byte == 0) {
        return Ok(First::Nothing);
    }
    let size = match Frame::peek(&head) {
        Ok(Frame::Record { size, .. }) if u64::from(size) <= len && size <= LONGEST => size,
        Ok(Frame::Blank { size }) if u64::from(size) == len && start.is_some() => {
            return Ok(First::Here);
        }
        _ => return Ok(First::Unclear),
    };
    if stated_offset(&head) == start {
        return Ok(First::Here);
    }
    // Only a sound record may say that the name is wrong.
    let mut record = vec![0; size as usize];
    file.read_exact_at(&mut record, 0)?;
    Ok(match Guard::default().check(&record, 0) {
        Ok(record) if record.log_offset.0 < FARTHEST => First::At(record.log_offset.0),
        _ => First::Unclear,
    })
}

/// Opens the files of a log that nothing speaks against, and takes away what a kill left.
pub(super) fn open_segments(facts: &Facts<'_>, laid: Laid) -> Result<Vec<Arc<Segment>>, Error> {
    let (disk, layout, survey) = (facts.disk.as_ref(), facts.layout, &facts.survey);
    if let Some(fault) = laid.faults.first() {
        return Err(refused(layout, fault.to_string()));
    }
    disk.create_dir_all(&layout.log)
        .map_err(Error::disk(DOING))?;
    let left: Vec<&String> = survey.unready.iter().chain(&laid.empty_last).collect();
    for name in &left {
        disk.unlink(&layout.log.join(name))
            .map_err(Error::disk(DOING))?;
    }
    if !left.is_empty() {
        disk.fsync_dir(&layout.log).map_err(Error::disk(DOING))?;
    }
    // An orderly stop leaves nothing behind the end, but the file made ahead stays as it is; and a
    // repair may have moved the end into that one.
    let known = facts.saved.as_ref();
    let known = known.filter(|saved| !saved.is_from_the_start() && !facts.crashed);
    let cleared_to = known.map_or(0, |saved| saved.position.durable);
    let open = |piece: Piece| {
        let path = layout.log.join(piece.name.unwrap_or_default());
        let file = disk.open(&path, Open::Write).map_err(Error::disk(DOING))?;
        Ok(Arc::new(Segment {
            start: piece.start,
            len: piece.len,
            file,
            path,
            recycled: piece.start >= cleared_to,
        }))
    };
    laid.pieces.into_iter().map(open).collect()
}

pub(crate) fn refused(layout: &Layout, why: String) -> Error {
    Error::Refused {
        path: layout.root.clone(),
        why,
    }
}

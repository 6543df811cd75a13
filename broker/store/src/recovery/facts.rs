//! What a directory says about its log before the log itself is read.

use std::sync::Arc;

use runtime::{Disk, Open};

use super::files::{Fault, First, Laid, Piece, Survey, survey};
use super::scan::find_valid;
use crate::Error;
use crate::checkpoint::Saved;
use crate::fence::Fence;
use crate::guard::Guard;
use crate::layout::Layout;
use crate::losses::{Told, unfinished};
use crate::segment::Segment;

/// Gathered without changing anything.
pub(crate) struct Facts<'a> {
    pub disk: &'a Arc<dyn Disk>,
    pub layout: &'a Layout,
    /// The store was not closed in order.
    pub crashed: bool,
    pub survey: Survey,
    /// The newest checkpoint that can be read.
    pub saved: Option<Saved>,
    /// Number of the newest checkpoint; 0 if there never was one.
    pub generation: u64,
    pub fence: Option<u64>,
    /// What a repair was going to tell that has not been completed.
    pub unfinished: Option<Told>,
}

impl<'a> Facts<'a> {
    pub(crate) fn gather(disk: &'a Arc<dyn Disk>, layout: &'a Layout) -> Result<Self, Error> {
        let crashed = disk
            .exists(&layout.abort)
            .map_err(Error::disk("looking for a crash"))?;
        let (saved, generation) = Saved::load(disk.as_ref(), &layout.checkpoints)?;
        Ok(Self {
            disk,
            layout,
            crashed,
            survey: survey(disk.as_ref(), layout)?,
            saved,
            generation,
            fence: Fence::load(disk.as_ref(), &layout.fence)?,
            unfinished: unfinished::begun(disk.as_ref(), layout)?,
        })
    }

    /// How far the log was durable when the newest checkpoint was saved.
    pub(crate) fn known_durable(&self) -> Option<u64> {
        self.saved.as_ref().map(|saved| saved.position.durable)
    }

    pub(crate) fn guard(&self) -> Guard {
        let saved = self.saved.as_ref();
        saved.map(|saved| saved.position.guard).unwrap_or_default()
    }

    /// Nothing was written at or behind this. A fence in front of the log's end was not moved
    /// by whoever wrote last, and says nothing.
    pub(crate) fn fence_behind(&self, end: u64) -> u64 {
        self.fence.filter(|fence| *fence >= end).unwrap_or(u64::MAX)
    }

    /// The log that the files make, with all that speaks against them.
    pub(crate) fn lay_out(&self) -> Result<Laid, Error> {
        let known = self.known_durable();
        let mut laid = self.survey.lay_out(known, |piece| self.holds(piece))?;
        let begin = laid.pieces.first().map_or(0, |piece| piece.start);
        let end = laid.pieces.last().map_or(begin, Piece::end);
        if let Some(from) = self.known_begin().filter(|from| *from < begin) {
            laid.faults.push(Fault::FrontMissing { from, to: begin });
        }
        if let Some(to) = known.filter(|durable| *durable > end) {
            laid.faults.push(Fault::EndMissing { from: end, to });
            laid.lengthen_last(to);
        }
        Ok(laid)
    }

    /// Where the oldest record of any queue lay: retention raises this before it deletes.
    fn known_begin(&self) -> Option<u64> {
        let heads = self.saved.as_ref()?.heads.all();
        heads
            .filter_map(|head| head.with(|state| (!state.is_empty()).then_some(state.min_at)))
            .min()
    }

    fn holds(&self, piece: &Piece) -> Result<bool, Error> {
        let path = self
            .layout
            .log
            .join(piece.name.as_deref().unwrap_or_default());
        let file = self.disk.open(&path, Open::Read);
        let segment = Segment {
            start: piece.start,
            len: piece.len,
            file: file.map_err(Error::disk("opening the log"))?,
            path,
            recycled: false,
        };
        let segments = [Arc::new(segment)];
        let found = find_valid(&segments, self.guard(), piece.start, piece.end())?;
        Ok(found.is_some())
    }

    /// The last place behind `end` where a file begins with what looks like a record of its
    /// own, whatever the file's name.
    pub(crate) fn goes_on_behind(&self, end: u64) -> Option<u64> {
        let starts = self
            .survey
            .found
            .iter()
            .filter_map(|found| match found.first {
                First::Here => found.start,
                First::At(start) => Some(start),
                First::Nothing | First::Unclear => None,
            });
        starts.filter(|start| *start > end).max()
    }

    /// Files behind the end of a log that was closed in order, with something in them that is
    /// no record: nothing of ours leaves them there. Where there is no checkpoint, `known` is
    /// false and nothing is known of that.
    pub(crate) fn strangers_behind(&self, end: u64, known: bool) -> Vec<Fault> {
        if self.crashed || !known {
            return Vec::new();
        }
        let strange = self.survey.found.iter().filter(|found| {
            found.first == First::Unclear
                && found.len > 0
                && found.start.is_some_and(|start| start > end)
        });
        strange
            .map(|found| Fault::Extra {
                name: found.name.clone(),
            })
            .collect()
    }
}

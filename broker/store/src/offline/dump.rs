//! Hands on the records of a log, damaged or not.

use std::ops::ControlFlow;
use std::sync::Arc;

use model::record::RecordView;
use runtime::Disk;

use super::examine::{views, walk_all};
use crate::Error;
use crate::layout::Layout;
use crate::recovery::Facts;

/// What a log holds at a place.
#[derive(Debug)]
pub enum Dumped<'a> {
    Record(&'a RecordView<'a>),
    /// Nothing valid from `from` to `to`.
    Damaged {
        from: u64,
        to: u64,
        why: String,
    },
}

pub(super) fn dump(
    disk: &Arc<dyn Disk>,
    layout: &Layout,
    from: u64,
    each: &mut dyn FnMut(Dumped<'_>) -> bool,
) -> Result<(), Error> {
    let facts = Facts::gather(disk, layout)?;
    let laid = facts.lay_out()?;
    let segments = views(disk.as_ref(), layout, &laid.pieces)?;
    // Where records begin is known of the beginning of a segment only.
    let starts = segments.iter().map(|segment| segment.start);
    let begin = starts.clone().filter(|start| *start <= from).max();
    let Some(begin) = begin.or(starts.min()) else {
        return Ok(());
    };
    let each = std::cell::RefCell::new(each);
    let flow = std::cell::Cell::new(ControlFlow::Continue(()));
    let hand_on = |dumped: Dumped<'_>| {
        if flow.get().is_continue() && !(each.borrow_mut())(dumped) {
            flow.set(ControlFlow::Break(()));
        }
        flow.get().is_continue()
    };
    walk_all(
        &facts,
        &segments,
        begin,
        |record| record.log_offset.0 < from || hand_on(Dumped::Record(record)),
        |stretch| {
            if stretch.to > from {
                let (from, to, why) = (stretch.from, stretch.to, stretch.why);
                hand_on(Dumped::Damaged { from, to, why });
            }
            Ok(())
        },
    )?;
    Ok(())
}

//! Hands on the records of a log, damaged or not.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use model::record::RecordView;
use runtime::Disk;

use super::examine::{views, walk_all};
use crate::Error;
use crate::layout::Layout;
use crate::recovery::Facts;
use crate::segment::Segment;

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
    let each = RefCell::new(each);
    let more = Cell::new(true);
    let hand_on = |dumped: Dumped<'_>| {
        more.set(more.get() && (each.borrow_mut())(dumped));
        more.get()
    };
    // What cannot be mended may have its parts far apart.
    let parts = segments.chunk_by(|before, next| before.end() == next.start);
    for part in parts {
        walk_all(
            &facts,
            part,
            begin(part, from),
            |record| record.log_offset.0 < from || hand_on(Dumped::Record(record)),
            |stretch| {
                if stretch.to > from {
                    let (from, to, why) = (stretch.from, stretch.to, stretch.why);
                    hand_on(Dumped::Damaged { from, to, why });
                }
                Ok(())
            },
        )?;
        if !more.get() {
            break;
        }
    }
    Ok(())
}

/// Where to begin to find all from `from` on: where records begin is known of the beginning of
/// a segment only.
fn begin(part: &[Arc<Segment>], from: u64) -> u64 {
    let behind = part.partition_point(|segment| segment.start <= from);
    part[behind.saturating_sub(1)].start
}

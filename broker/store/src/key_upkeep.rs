//! Makes the files of the key index, and makes them anew where they are missing.
//!
//! Runs beside everything else, one stretch of the log at a time, the newest first. A start never
//! waits for it, and until it is done the keys of older records are not found.

use std::sync::Arc;

use model::Topic;
use model::record::RecordView;

use crate::Error;
use crate::dispatch::Dispatch;
use crate::key_index::Stretch;
use crate::recovery::{Durable, walk};
use crate::segment::Segment;
use crate::store::Shared;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody is at it.
#[derive(Default)]
pub(crate) struct KeyUpkeep {
    running: AtomicBool,
    failing: AtomicBool,
}

impl Shared {
    /// Sees to the files, unless somebody does already.
    pub(crate) fn order_key_upkeep(self: &Arc<Self>) {
        if self.key_upkeep.running.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = self.clone();
        // What fails is tried again with the next order.
        drop(self.tasks.blocking("key index", move || {
            shared.keep_keys();
            shared.key_upkeep.running.store(false, Ordering::Release);
        }));
    }

    fn keep_keys(&self) {
        let stopped = || self.tasks.shutdown().is_requested() || self.health.is_closed();
        while !stopped() {
            match self.keep_some_keys(&stopped) {
                Ok(true) => {}
                Ok(false) => {
                    self.key_upkeep.failing.store(false, Ordering::Release);
                    return;
                }
                Err(error) => {
                    if !self.key_upkeep.failing.swap(true, Ordering::AcqRel) {
                        tracing::warn!(%error, "some messages are not found by key");
                    }
                    return;
                }
            }
        }
    }

    /// Makes one file. False if there is nothing to do.
    fn keep_some_keys(&self, stopped: &dyn Fn() -> bool) -> Result<bool, Error> {
        let segments = self.segments.all();
        let begin = segments.first().map_or(0, |segment| segment.start);
        let indexed = self.publisher.indexed();
        let in_memory = self.keys.memory_from();
        let holding = segments.iter().find(|segment| segment.end() > in_memory);
        if let Some(segment) = holding.filter(|segment| segment.start <= in_memory) {
            let full = segment.end() <= indexed;
            if full || self.keys.is_large() && in_memory < indexed {
                self.keys.move_to_file(segment.end().min(indexed))?;
                return Ok(true);
            }
        }
        let older = Stretch {
            from: begin,
            to: in_memory,
        };
        if let Some(gap) = self.keys.newest_gap(older) {
            return self.fill_gap(&segments, gap, stopped);
        }
        for segment in segments.iter().filter(|segment| segment.end() <= in_memory) {
            let whole = Stretch {
                from: segment.start,
                to: segment.end(),
            };
            if self.keys.join(whole)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the newest segment of a gap, past whatever is damaged there.
    fn fill_gap(
        &self,
        segments: &[Arc<Segment>],
        gap: Stretch,
        stopped: &dyn Fn() -> bool,
    ) -> Result<bool, Error> {
        let newest = segments.iter().rev().find(|segment| segment.start < gap.to);
        let Some(segment) = newest else {
            return Ok(false);
        };
        let stretch = Stretch {
            from: gap.from.max(segment.start),
            to: gap.to.min(segment.end()),
        };
        let mut entries = Vec::new();
        walk(
            std::slice::from_ref(segment),
            self.guard,
            (stretch.from, Durable::up_to(stretch.to)),
            |record| {
                let within = record.log_offset.0 < stretch.to && !stopped();
                if within {
                    entries.extend(keys_of(record));
                }
                within
            },
            |_| Ok(()),
        )?;
        if stopped() {
            return Ok(false);
        }
        self.keys.write(stretch, entries)?;
        // Retention may have been here meanwhile.
        self.keys.drop_below(self.segments.min());
        Ok(true)
    }
}

fn keys_of(record: &RecordView<'_>) -> impl Iterator<Item = (u32, u64)> + use<> {
    let topic = Topic::stored(record.topic);
    let keys = topic.map(|topic| Dispatch::of_stored(&topic, record).keys);
    let at = record.log_offset.0;
    keys.unwrap_or_default()
        .into_iter()
        .map(move |hash| (hash, at))
}

//! What a store does by itself while it is open: flush, save its indexes, clean up.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::store::Shared;

/// Time between two looks at the disk and at what may be deleted, and while the disk is nearly
/// full: each of those takes one segment.
const CLEAN_INTERVAL: Duration = Duration::from_secs(10);
const NEARLY_FULL_INTERVAL: Duration = Duration::from_secs(1);

impl Shared {
    /// Starts what runs beside appends and reads.
    pub(crate) fn start(self: &Arc<Self>) {
        self.order_key_upkeep();
        drop(self.tasks.spawn("store", tick(self.clone())));
    }

    fn tend(&self, flush: bool, save: bool, clean: bool) {
        let told = |what: &str, result: Result<(), Error>| {
            if let Err(error) = result {
                tracing::warn!(%error, "the store could not {what}");
            }
        };
        if self.health.is_closed() || self.health.unflushable().is_some() {
            return;
        }
        if self.health.read_only().is_some() {
            if flush {
                told("flush", self.flusher.flush());
            }
            return;
        }
        if save {
            let saved = self.reserve.spend(|| self.checkpoints.save());
            told("save its indexes", saved);
            if self.index.log().is_stuck() {
                self.health
                    .break_with("the queue index cannot be written".into());
            }
        } else if flush {
            told("flush", self.flusher.flush());
        }
        if clean {
            told("clean up", self.clean(false));
            if !self.health.is_full() {
                self.reserve.fill();
            }
        }
    }
}

/// Flushes, saves and cleans in turn until the store is closed or the shutdown requested.
async fn tick(shared: Arc<Shared>) {
    let shutdown = shared.tasks.shutdown();
    let flush = Duration::from_millis(shared.settings.flush_interval_ms.max(1));
    let save = Duration::from_millis(shared.settings.checkpoint_interval_ms.max(1));
    let now = shared.clock.now();
    let (mut next_flush, mut next_save, mut next_clean) = (now + flush, now + save, now);
    loop {
        let next = next_flush.min(next_save).min(next_clean);
        tokio::select! {
            biased;
            () = shutdown.requested() => return,
            () = shared.clock.sleep_until(next) => {}
        }
        let now = shared.clock.now();
        let due = (now >= next_flush, now >= next_save, now >= next_clean);
        let working = shared.clone();
        let work = move || working.tend(due.0, due.1, due.2);
        if shared.tasks.blocking("tend the store", work).await.is_err() {
            return;
        }
        if shared.health.is_closed() {
            return;
        }
        let now = shared.clock.now();
        if due.0 {
            next_flush = now + flush;
        }
        if due.1 {
            shared.order_key_upkeep();
            next_save = now + save;
        }
        if due.2 {
            next_clean = now
                + match shared.health.is_nearly_full() {
                    true => NEARLY_FULL_INTERVAL,
                    false => CLEAN_INTERVAL,
                };
        }
    }
}

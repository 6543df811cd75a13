//! Bytes of requests in the whole process: what arrives in large frames, and what is under way.
//!
//! ```text
//! large frame announced ─ arriving ─┐
//!                                   ├─► whole ─ under way ─► answered
//! small frame ──────────────────────┘
//! ```
//! A large frame has its room before it is read, so frames that are half here can always be
//! finished; each kind has one half of the limit, so who announces much and sends little
//! holds up large frames only. A small frame that is half here is part of what a connection
//! costs and not counted. The sum stays below the limit, and at most one frame of each kind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

pub struct BytesInFlight {
    /// Of each kind.
    limit: usize,
    arriving: AtomicUsize,
    under_way: AtomicUsize,
    /// Connections that wait for room.
    paused: AtomicUsize,
    room: Notify,
}

/// One connection's part. Given back when dropped.
pub struct Share {
    all: Arc<BytesInFlight>,
    arriving: usize,
    under_way: usize,
}

impl BytesInFlight {
    pub fn new(limit: usize) -> Arc<BytesInFlight> {
        Arc::new(BytesInFlight {
            limit: limit / 2,
            arriving: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            paused: AtomicUsize::new(0),
            room: Notify::new(),
        })
    }

    pub fn share(self: &Arc<Self>) -> Share {
        Share {
            all: self.clone(),
            arriving: 0,
            under_way: 0,
        }
    }

    pub fn bytes(&self) -> usize {
        self.arriving.load(Ordering::Relaxed) + self.under_way.load(Ordering::Relaxed)
    }

    /// Whether more requests may be read.
    pub fn has_room(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) < self.limit
    }

    fn has_room_for(&self, large: bool) -> bool {
        // Not relaxed: see `give_back`.
        let below = |bytes: &AtomicUsize| bytes.load(Ordering::SeqCst) < self.limit;
        below(&self.under_way) && (!large || below(&self.arriving))
    }

    /// Resolves once more may be read. Whoever asks looks again afterwards: others asked too.
    pub async fn room(&self, large: bool) {
        let _paused = Paused::new(&self.paused);
        loop {
            let mut given_back = std::pin::pin!(self.room.notified());
            given_back.as_mut().enable();
            if self.has_room_for(large) {
                return;
            }
            given_back.await;
        }
    }

    fn give_back(&self, from: &AtomicUsize, bytes: usize) {
        // Ordered against those who say that they wait and then look: one of both sees the other.
        from.fetch_sub(bytes, Ordering::SeqCst);
        if self.paused.load(Ordering::SeqCst) > 0 {
            self.room.notify_waiters();
        }
    }
}

impl Share {
    pub fn all(&self) -> &BytesInFlight {
        &self.all
    }

    /// Takes room for a large frame that begins to arrive, if there is some.
    pub fn announce(&mut self, bytes: usize) -> bool {
        let limit = self.all.limit;
        let take = |arriving| (arriving < limit).then_some(arriving + bytes);
        let taken = self
            .all
            .arriving
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if taken.is_ok() {
            self.arriving += bytes;
        }
        taken.is_ok()
    }

    /// Whether a large frame is arriving.
    pub fn is_arriving(&self) -> bool {
        self.arriving > 0
    }

    /// The large frame is whole.
    pub fn arrived(&mut self) {
        if self.arriving > 0 {
            self.all.give_back(&self.all.arriving, self.arriving);
            self.arriving = 0;
        }
    }

    /// What this connection has under way now.
    pub fn set_under_way(&mut self, bytes: usize) {
        let all = &self.all;
        if bytes > self.under_way {
            let more = bytes - self.under_way;
            all.under_way.fetch_add(more, Ordering::Relaxed);
        } else if bytes < self.under_way {
            all.give_back(&all.under_way, self.under_way - bytes);
        }
        self.under_way = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.arrived();
        self.set_under_way(0);
    }
}

struct Paused<'a>(&'a AtomicUsize);

impl<'a> Paused<'a> {
    fn new(count: &'a AtomicUsize) -> Paused<'a> {
        count.fetch_add(1, Ordering::SeqCst);
        Paused(count)
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn large_frames_that_do_not_come_leave_room_for_small_ones() {
        let all = BytesInFlight::new(100);
        let (mut one, mut other) = (all.share(), all.share());
        assert!(one.announce(40) && other.announce(40));
        let mut third = all.share();
        assert!(!third.announce(1), "80 of 50 are announced");
        assert!(all.has_room());
        one.arrived();
        assert!(third.announce(1));
        assert_eq!(all.bytes(), 41);
        drop((one, other, third));
        assert_eq!(all.bytes(), 0);
    }

    #[test]
    fn who_waits_for_room_is_woken_by_what_is_given_back() {
        let all = BytesInFlight::new(100);
        let mut share = all.share();
        share.set_under_way(50);
        let mut room = std::pin::pin!(all.room(false));
        assert!(room.as_mut().now_or_never().is_none());
        share.set_under_way(49);
        assert!(room.now_or_never().is_some());
    }
}

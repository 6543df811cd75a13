//! Lets sends through to the store while it keeps up, and refuses them while it does not.
//!
//! A send that is let in is stored and answered, however long that takes: refused is only
//! what the store has not seen. Sends that the store answers at once are not counted.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use delivery::{Refused, Resource};
use runtime::{Clock, Moment};
use tokio::sync::Notify;

use crate::limits::Limits;

pub struct Admission {
    limit: usize,
    stall: Duration,
    patience: Duration,
    clock: Clock,
    opened: Moment,
    /// Bytes of sends that wait for the store.
    waiting: AtomicUsize,
    /// Bytes of sends whose clients have gone while the store had them. The store answers in
    /// order, or nearly: with the next answer they are taken for done.
    abandoned: AtomicUsize,
    /// When the store last answered one, or the first of them came: nanoseconds since `opened`.
    moved: AtomicU64,
    answered: Notify,
}

impl Admission {
    pub fn new(limits: &Limits, clock: Clock) -> Admission {
        Admission {
            limit: limits.sends_waiting,
            stall: limits.stall,
            patience: limits.admission,
            opened: clock.now(),
            clock,
            waiting: AtomicUsize::new(0),
            abandoned: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            answered: Notify::new(),
        }
    }

    /// Bytes of sends that wait for the store.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Resolves when a send may go to the store, or with why it may not.
    pub async fn admit(&self) -> Result<(), Refused> {
        if self.obstacle().is_none() {
            return Ok(());
        }
        let open = async {
            loop {
                let mut answered = pin!(self.answered.notified());
                answered.as_mut().enable();
                if self.obstacle().is_none() {
                    return;
                }
                answered.await;
            }
        };
        if self.clock.timeout(self.patience, open).await.is_ok() {
            return Ok(());
        }
        self.obstacle().map_or(Ok(()), Err)
    }

    /// Sees a send of so many bytes through the store.
    pub async fn see_through<F: Future>(&self, bytes: usize, mut send: Pin<&mut F>) -> F::Output {
        if let Poll::Ready(answer) = futures::poll!(send.as_mut()) {
            return answer;
        }
        let mut with_store = WithStore::new(self, bytes);
        let answer = send.await;
        with_store.answered = true;
        answer
    }

    fn obstacle(&self) -> Option<Refused> {
        let waiting = self.waiting();
        if waiting == 0 {
            // Somebody has to try whether the store answers.
            return None;
        }
        let silent = self.silent_for();
        if silent >= self.stall {
            return Some(Refused {
                resource: Resource::Stall,
                limit: self.stall.as_millis() as u64,
                in_use: silent.as_millis() as u64,
                holder: format!("the disk under {waiting} bytes of sends"),
                retry_after: self.stall,
            });
        }
        let waiting = waiting + self.abandoned.load(Ordering::Relaxed);
        (waiting >= self.limit).then(|| Refused {
            resource: Resource::SendsWaiting,
            limit: self.limit as u64,
            in_use: waiting as u64,
            holder: "sends that the disk has not taken yet".into(),
            retry_after: self.patience,
        })
    }

    fn silent_for(&self) -> Duration {
        let moved = Duration::from_nanos(self.moved.load(Ordering::Relaxed));
        self.clock.now().since(self.opened + moved)
    }

    fn has_moved(&self) {
        let now = self.clock.now().since(self.opened).as_nanos();
        self.moved.store(now as u64, Ordering::Relaxed);
    }
}

struct WithStore<'a> {
    admission: &'a Admission,
    bytes: usize,
    answered: bool,
}

impl WithStore<'_> {
    fn new(admission: &Admission, bytes: usize) -> WithStore<'_> {
        // Never 0: whoever waits is seen.
        let bytes = bytes.max(1);
        if admission.waiting() == 0 {
            admission.has_moved();
        }
        admission.waiting.fetch_add(bytes, Ordering::Relaxed);
        WithStore {
            admission,
            bytes,
            answered: false,
        }
    }
}

impl Drop for WithStore<'_> {
    fn drop(&mut self) {
        let admission = self.admission;
        admission.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
        if self.answered {
            admission.has_moved();
            admission.abandoned.store(0, Ordering::Relaxed);
        } else {
            admission.abandoned.fetch_add(self.bytes, Ordering::Relaxed);
        }
        admission.answered.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use runtime::SimClock;
    use tokio::sync::oneshot;

    fn admission(clock: &SimClock) -> Admission {
        let limits = Limits {
            sends_waiting: 100,
            ..Limits::default()
        };
        Admission::new(&limits, clock.clock())
    }

    #[test]
    fn a_store_that_answers_at_once_lets_everybody_in() {
        let admission = admission(&SimClock::new(0));
        let send = pin!(async { 7 });
        assert_eq!(admission.see_through(500, send).now_or_never(), Some(7));
        assert_eq!(admission.waiting(), 0);
        assert_eq!(admission.admit().now_or_never(), Some(Ok(())));
    }

    #[test]
    fn too_many_bytes_wait_a_moment_and_are_refused_with_the_numbers() {
        let clock = SimClock::new(0);
        let admission = admission(&clock);
        let (_stuck, outcome) = oneshot::channel::<()>();
        let outcome = pin!(outcome);
        let mut first = pin!(admission.see_through(100, outcome));
        assert!(first.as_mut().now_or_never().is_none());
        let mut second = pin!(admission.admit());
        assert!(second.as_mut().now_or_never().is_none(), "it waits first");
        clock.advance(Duration::from_millis(200));
        let refused = second.now_or_never().expect("it waited long enough");
        assert_eq!(
            refused.expect_err("nothing moved").to_string(),
            "bytes of waiting sends (limits.sends-waiting): 100 of 100 are in use, held by sends \
             that the disk has not taken yet; try again in 200 ms"
        );
    }

    #[test]
    fn a_disk_that_answers_nothing_is_stalled_whatever_little_waits_for_it() {
        let clock = SimClock::new(0);
        let admission = admission(&clock);
        let (disk, outcome) = oneshot::channel::<()>();
        let outcome = pin!(outcome);
        let mut first = pin!(admission.see_through(1, outcome));
        assert!(first.as_mut().now_or_never().is_none());
        assert_eq!(admission.admit().now_or_never(), Some(Ok(())));
        clock.advance(Duration::from_secs(1));
        let mut second = pin!(admission.admit());
        assert!(second.as_mut().now_or_never().is_none());
        disk.send(()).expect("the first waits for it");
        assert!(first.now_or_never().is_some());
        assert_eq!(second.now_or_never(), Some(Ok(())), "it goes on at once");
    }
}

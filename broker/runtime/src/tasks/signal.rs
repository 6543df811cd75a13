//! Something that happens once.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Raised once; wakes whoever waits in the order they came, which under a seed has to be so.
#[derive(Debug, Default)]
pub struct Signal {
    raised: AtomicBool,
    waiters: Notify,
}

impl Signal {
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.waiters.notify_waiters();
    }

    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Resolves once it is raised.
    pub async fn raised(&self) {
        // Made before the look: it hears of whatever is raised after it.
        let raised = self.waiters.notified();
        if !self.is_raised() {
            raised.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[tokio::test]
    async fn it_wakes_all_who_wait_in_order_and_lets_later_ones_pass() {
        let (signal, woken) = (
            Arc::new(Signal::default()),
            Arc::new(Mutex::new(Vec::new())),
        );
        let waiting: Vec<_> = (0..20)
            .map(|number| {
                let (signal, woken) = (signal.clone(), woken.clone());
                tokio::spawn(async move {
                    signal.raised().await;
                    woken.lock().push(number);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(!signal.is_raised() && woken.lock().is_empty());
        signal.raise();
        for waiting in waiting {
            waiting.await.expect("it waits and ends");
        }
        assert_eq!(*woken.lock(), (0..20).collect::<Vec<_>>());
        signal.raised().await;
    }
}

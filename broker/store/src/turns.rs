//! Whose turn it is to read what is no longer in memory.
//!
//! Such a read copies and checks hundreds of kilobytes. Readers who catch up would fill every
//! thread of the broker with them, and a send that arrives would wait behind them all: half of
//! the threads do so at a time, and none while the disk is waited for.

use tokio::sync::{Semaphore, SemaphorePermit};

pub(crate) struct Turns {
    free: Semaphore,
}

impl Turns {
    /// For readers on that many threads.
    pub(crate) fn on(workers: usize) -> Self {
        Self {
            free: Semaphore::new((workers / 2).max(1)),
        }
    }

    /// Resolves when it is this reader's turn: they go in the order in which they came.
    pub(crate) async fn take(&self) -> Turn<'_> {
        let mut turn = Turn {
            turns: self,
            permit: None,
        };
        turn.again().await;
        turn
    }
}

/// Ends when it is dropped.
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    permit: Option<SemaphorePermit<'a>>,
}

impl Turn<'_> {
    /// Lets others go on while this reader waits.
    pub(crate) fn pause(&mut self) {
        self.permit = None;
    }

    pub(crate) async fn again(&mut self) {
        // It is never closed.
        self.permit = self.turns.free.acquire().await.ok();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_reads_while_the_next_waits_until_it_is_done_or_pauses() {
        for workers in [1, 2, 3] {
            let turns = Turns::on(workers);
            let mut first = turns.take().await;
            let mut second = pin!(turns.take());
            assert!(second.as_mut().now_or_never().is_none(), "{workers}");
            first.pause();
            let second = second.now_or_never().expect("the first one pauses");
            let mut again = pin!(first.again());
            assert!(again.as_mut().now_or_never().is_none());
            drop(second);
            assert!(again.now_or_never().is_some());
        }
        let turns = Turns::on(4);
        let _both = (turns.take().await, turns.take().await);
        assert!(turns.take().now_or_never().is_none());
    }
}

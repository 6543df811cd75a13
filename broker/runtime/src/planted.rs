//! Bugs made on purpose, to see that the checks find them.
//!
//! Each place asks for its bug; without the feature `planted`, which no program that anybody
//! runs is built with, the answer is a constant.

#[cfg(all(feature = "planted", not(debug_assertions)))]
compile_error!("the feature `planted` puts bugs into the broker: never build a release with it");

/// A bug, and the promise it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A synchronous append is acknowledged before its flush. Breaks D1.
    AckBeforeFlush,
    /// The name of a new segment is not made durable. Breaks D1.
    SkipSyncDir,
    /// Records are shown before they are flushed. Breaks D7.
    IndexAheadOfFlush,
    /// What lies behind the log's end is cut one byte too early. Breaks D1, R1.
    TruncateOffByOne,
    /// A start gives the last offset of a queue out again. Breaks D3.
    ReuseOffset,
    /// A flush that failed is tried again and then believed. Breaks D1.
    RetryFlush,
    /// A start believes a record whose checksum does not hold. Breaks D2.
    BelieveRecord,
    /// A start believes a sound record that names another place: a recycled file is full of them.
    /// Breaks D2.
    BelieveOldRecord,
    /// A consumer commits an offset behind messages it has not finished. Breaks D11.
    CommitPastGap,
}

impl Planted {
    pub const ALL: [Planted; 9] = [
        Planted::AckBeforeFlush,
        Planted::SkipSyncDir,
        Planted::IndexAheadOfFlush,
        Planted::TruncateOffByOne,
        Planted::ReuseOffset,
        Planted::RetryFlush,
        Planted::BelieveRecord,
        Planted::BelieveOldRecord,
        Planted::CommitPastGap,
    ];

    /// Whether this bug is in the house that runs on this thread.
    #[inline(always)]
    pub fn is_active(self) -> bool {
        #[cfg(feature = "planted")]
        return ACTIVE.get() == Some(self);
        #[cfg(not(feature = "planted"))]
        return false;
    }

    /// From now on the house that runs on this thread has this bug, or none.
    #[cfg(feature = "planted")]
    pub fn plant(bug: Option<Planted>) {
        ACTIVE.set(bug);
    }
}

#[cfg(feature = "planted")]
thread_local! {
    static ACTIVE: std::cell::Cell<Option<Planted>> = const { std::cell::Cell::new(None) };
}

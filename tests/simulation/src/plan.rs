//! What a seed decides before anything happens.

use runtime::Rng;
use store::{Flush, Settings};

/// What may happen in a run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub flush: Flush,
    /// Nothing goes wrong: what fails here fails without any fault.
    pub intact: bool,
}

/// The faults that one seed has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Swarm {
    pub(crate) stops: bool,
    pub(crate) kills: bool,
    pub(crate) power: bool,
    pub(crate) recoveries: bool,
    pub(crate) cuts: bool,
    pub(crate) holds: bool,
    pub(crate) refusals: bool,
    pub(crate) names: bool,
    pub(crate) wall: bool,
    pub(crate) disk: bool,
    pub(crate) flushes: bool,
    pub(crate) members: bool,
}

impl Swarm {
    pub(crate) fn draw(rng: &Rng) -> Swarm {
        let half = || rng.chance(0.5);
        Swarm {
            stops: half(),
            kills: half(),
            power: half(),
            recoveries: half(),
            cuts: half(),
            holds: half(),
            refusals: half(),
            names: half(),
            wall: half(),
            disk: half(),
            flushes: half(),
            members: half(),
        }
    }
}

/// Small segments, short intervals: what happens once a day happens every second.
pub(crate) fn store_settings(rng: &Rng, flush: Flush) -> Settings {
    Settings {
        segment_bytes: 8_192 << rng.range(0..6),
        flush,
        flush_interval_ms: rng.range(1..600),
        checkpoint_interval_ms: rng.range(10..3_000),
        hot_bytes: 1 << rng.range(8..18),
        retention_hours: 1_000_000,
        refuse_percent: 101,
        clean_percent: 101,
        delete_percent: 101,
        ..Settings::default()
    }
}

//! Randomness: from the operating system, or from a seed.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng as _, RngCore, SeedableRng};

/// A source of random numbers; clones draw from the same stream. Not for secrets.
#[derive(Clone)]
pub struct Rng {
    seed: u64,
    stream: Arc<Mutex<StdRng>>,
}

impl Rng {
    /// Different in every process.
    pub fn from_entropy() -> Rng {
        Rng::seeded(rand::rng().next_u64())
    }

    /// The same numbers for the same seed.
    pub fn seeded(seed: u64) -> Rng {
        Rng {
            seed,
            stream: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))),
        }
    }

    /// A stream of its own for one user. It depends on this one's seed and on `name`, not on
    /// what has been drawn here, so one more draw in one place changes nothing in another.
    pub fn split(&self, name: &str) -> Rng {
        Rng::seeded(mix(self.seed, name))
    }

    pub fn next_u64(&self) -> u64 {
        self.stream.lock().next_u64()
    }

    /// A number in `range`, each as likely. An empty range is the caller's mistake and panics.
    pub fn range(&self, range: Range<u64>) -> u64 {
        self.stream.lock().random_range(range)
    }

    /// True with the given probability, 0.0 never and 1.0 always.
    pub fn chance(&self, probability: f64) -> bool {
        probability > 0.0 && self.stream.lock().random::<f64>() < probability
    }

    pub fn fill(&self, bytes: &mut [u8]) {
        self.stream.lock().fill_bytes(bytes);
    }

    pub fn shuffle<T>(&self, items: &mut [T]) {
        items.shuffle(&mut *self.stream.lock());
    }
}

/// FNV-1a over the seed and the name: stable across builds, which std's hashers are not.
fn mix(seed: u64, name: &str) -> u64 {
    seed.to_le_bytes()
        .iter()
        .chain(name.as_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (a, b) = (Rng::seeded(7), Rng::seeded(7));
        assert!((0..100).all(|_| a.next_u64() == b.next_u64()));
        assert_ne!(Rng::seeded(7).next_u64(), Rng::seeded(8).next_u64());
    }

    #[test]
    fn a_split_depends_on_its_name_and_not_on_earlier_draws() {
        let (a, b) = (Rng::seeded(7), Rng::seeded(7));
        b.next_u64();
        assert_eq!(a.split("disk").next_u64(), b.split("disk").next_u64());
        assert_ne!(a.split("disk").next_u64(), a.split("net").next_u64());
    }

    #[test]
    fn entropy_differs() {
        assert_ne!(
            Rng::from_entropy().next_u64(),
            Rng::from_entropy().next_u64()
        );
    }

    #[test]
    fn chance_knows_never_and_always() {
        let rng = Rng::seeded(1);
        assert!((0..1000).all(|_| !rng.chance(0.0) && rng.chance(1.0)));
        let hits = (0..1000).filter(|_| rng.chance(0.5)).count();
        assert!((400..600).contains(&hits), "{hits}");
    }

    #[test]
    fn shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..50).collect();
        Rng::seeded(3).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}

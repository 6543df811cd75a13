//! How long all cores stand still at once while they are full: a host that gives a machine so
//! much time and no more, its disk's included, stops it for the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Result;

use crate::clock::now;
use crate::cores::{allowed, on};

/// A core that is not held up reads the clock far more often than that, in ns.
const GAP: u64 = 200_000;

/// Stretches in which time went by and a core did nothing: from, until, in ns.
type Gaps = Vec<(u64, u64)>;

/// Share of the time, and ms at the most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standstill {
    pub share: f64,
    pub longest: f64,
}

/// Keeps all cores full while something is done beside; tells what came of it, too.
pub fn beside<T>(what: impl FnOnce() -> Result<T>) -> Result<(T, Standstill)> {
    let done = Arc::new(AtomicBool::new(false));
    let spin = |core| {
        let done = done.clone();
        thread::spawn(move || on(Some(core), || Ok(gaps(&done))))
    };
    let spinning: Vec<_> = allowed()?.into_iter().map(spin).collect();
    let begun = now();
    let outcome = what();
    let took = now() - begun;
    done.store(true, Ordering::Relaxed);
    let mut common: Option<Gaps> = None;
    for spun in spinning {
        let gaps = spun.join().expect("a thread that counts does not panic")?;
        common = Some(match common {
            None => gaps,
            Some(common) => both(&common, &gaps),
        });
    }
    let lengths = common.iter().flatten().map(|(from, until)| until - from);
    let standstill = Standstill {
        share: lengths.clone().sum::<u64>() as f64 / took.max(1) as f64,
        longest: lengths.max().unwrap_or(0) as f64 / 1e6,
    };
    Ok((outcome?, standstill))
}

fn gaps(done: &AtomicBool) -> Gaps {
    let (mut gaps, mut last) = (Gaps::new(), now());
    while !done.load(Ordering::Relaxed) {
        let next = now();
        if next - last > GAP {
            gaps.push((last, next));
        }
        last = next;
    }
    gaps
}

/// What two lists of stretches have in common; each is in order.
fn both(one: &[(u64, u64)], two: &[(u64, u64)]) -> Gaps {
    let (mut common, mut i, mut j) = (Gaps::new(), 0, 0);
    while let (Some(a), Some(b)) = (one.get(i), two.get(j)) {
        let (from, until) = (a.0.max(b.0), a.1.min(b.1));
        if from < until {
            common.push((from, until));
        }
        match a.1 < b.1 {
            true => i += 1,
            false => j += 1,
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_all_cores_missed_counts() {
        let one = [(0, 10), (20, 30), (50, 90)];
        let two = [(5, 25), (60, 70), (80, 100)];
        assert_eq!(both(&one, &two), [(5, 10), (20, 25), (60, 70), (80, 90)]);
        assert_eq!(both(&one, &[]), []);
    }

    #[test]
    fn what_was_done_beside_comes_back() {
        let (done, standstill) = beside(|| Ok(7)).expect("the cores can be had");
        assert_eq!(done, 7);
        assert!(standstill.share >= 0.0 && standstill.share <= 1.0);
        assert!(beside(|| -> Result<()> { anyhow::bail!("no") }).is_err());
    }
}

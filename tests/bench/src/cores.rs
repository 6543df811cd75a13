//! Which cores a thread, and whatever it starts, may run on.

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where the two sides of a run are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The broker on the first core it may have, the generator on the last.
    Split,
    /// Both wherever the kernel puts them.
    All,
}

impl Placement {
    /// As a person names them.
    pub const NAMES: [&str; 2] = ["split", "all"];

    /// The broker's core; `None` is all of them.
    pub fn broker(self) -> Result<Option<usize>> {
        Ok(match self {
            Placement::Split => allowed()?.first().copied(),
            Placement::All => None,
        })
    }

    /// The generator's core; `None` is all of them.
    pub fn generator(self) -> Result<Option<usize>> {
        Ok(match self {
            Placement::Split => allowed()?.last().copied(),
            Placement::All => None,
        })
    }
}

/// Cores this thread may use, in ascending order.
pub fn allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None).context("the kernel does not tell our cores")?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect())
}

/// Keeps this thread on one core.
pub fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("core {core} cannot be had"))
}

/// Does something on one core; a process it starts stays there, this thread does not.
pub fn on<T>(core: Option<usize>, what: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(core) = core else { return what() };
    let before = sched_getaffinity(None)?;
    pin(core)?;
    let done = what();
    sched_setaffinity(None, &before)?;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_comes_back_from_the_core_it_was_sent_to() {
        let before = allowed().expect("a thread has cores");
        let last = *before.last().expect("it has at least one");
        let inside = on(Some(last), allowed).expect("its own core can be had");
        assert_eq!(inside, [last]);
        assert_eq!(allowed().expect("a thread has cores"), before);
    }
}

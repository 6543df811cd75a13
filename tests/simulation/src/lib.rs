//! A name server, a broker and several clients, on a faulty disk and network and a virtual
//! clock, from one seed.
//!
//! A run has two phases. In the first, faults happen: kills, losses of power, cut and held
//! connections, a failing disk, a clock that jumps; each seed draws which kinds, so that they do
//! not mask each other. In the second everything heals, and whatever was acknowledged has to be
//! delivered. What happened is judged by [`history`].

mod consumers;
mod nemesis;
mod old_files;
mod plan;
mod producers;
mod recorder;
mod run;
mod world;

pub use plan::Plan;
pub use run::{Outcome, run};

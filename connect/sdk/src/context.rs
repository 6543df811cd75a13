//! What a connector may use of the machine, real or simulated.

use std::sync::Arc;

use runtime::{Clock, Disk, Net, Rng, Tasks};

/// What a connector may use of the machine, and who it is. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The connector's name, as configured.
    pub connector: String,
    /// The number of the task, from 0. Probing and dividing happen as task 0.
    pub task: usize,
    /// Rises each time the task starts anew anywhere. A target that keeps positions refuses
    /// an older one.
    pub generation: u64,
    /// Files. Its calls block: they belong on `tasks.blocking`.
    pub disk: Arc<dyn Disk>,
    /// Time.
    pub clock: Clock,
    /// Sockets.
    pub net: Net,
    /// Randomness, this task's own stream.
    pub rng: Rng,
    /// Whatever runs beside the calls.
    pub tasks: Tasks,
}

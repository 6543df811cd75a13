//! Accepts connections and gives each a task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runtime::{Clock, Moment, Net, Tasks};

use crate::Error;
use crate::channel::Channel;
use crate::connection::{self, Door};
use crate::doorkeeper::Doorkeeper;
use crate::turned_away::Why;

/// Rest after a failed accept, and after many of them: the process may be out of file
/// descriptors, and trying again and again would take the time of those who are inside.
const AFTER_FAILURE: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_secs(1);
/// How often the log says that connections are refused.
const COMPLAIN: Duration = Duration::from_secs(5);

/// Numbers connections over all listeners of the process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// An open door.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    /// Where it listens; the port is the real one when 0 was asked for.
    pub address: SocketAddr,
}

/// Opens a door on `address` and serves it until the tasks stop.
pub async fn listen(
    net: &Net,
    address: SocketAddr,
    door: Arc<dyn Door>,
    keeper: &Arc<Doorkeeper>,
    tasks: &Tasks,
) -> Result<Listening, Error> {
    let listener = net
        .listen(address)
        .await
        .map_err(|source| Error::Listen { address, source })?;
    let local = listener
        .local_addr()
        .map_err(|source| Error::Listen { address, source })?;
    let (owner, shutdown, keeper) = (tasks.clone(), tasks.shutdown(), keeper.clone());
    tasks.spawn(format!("listener {local}"), async move {
        let clock = owner.clock().clone();
        let mut complaints = Complaints::default();
        let mut rest = AFTER_FAILURE;
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.requested() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(why) => {
                    keeper.turned_away.count(Why::NotAccepted);
                    if let Some(times) = complaints.due(&clock) {
                        tracing::warn!(%why, times, "connections could not be accepted");
                    }
                    clock.sleep(rest).await;
                    rest = (rest * 2).min(LONGEST_REST);
                    continue;
                }
            };
            rest = AFTER_FAILURE;
            let guest = match keeper.let_in(peer.ip()) {
                Ok(guest) => guest,
                Err(why) => {
                    if let Some(times) = complaints.due(&clock) {
                        let limits = &keeper.limits;
                        tracing::warn!(
                            %peer,
                            times,
                            ?why,
                            limit = limits.connections,
                            limit_of_address = limits.connections_of_address,
                            "connections were refused: there are too many"
                        );
                    }
                    continue;
                }
            };
            let (channel, outbox) = Channel::new(NEXT.fetch_add(1, Ordering::Relaxed), peer);
            let (door, clock, shutdown) = (door.clone(), clock.clone(), owner.shutdown());
            // In a box of its own: the tasks' own futures hold what they run several times over.
            let serve = connection::serve(stream, channel, outbox, door, guest, clock, shutdown);
            owner.spawn("connection", Box::pin(serve));
        }
    });
    Ok(Listening { address: local })
}

/// Keeps a flood of connections from becoming a flood of lines.
#[derive(Default)]
struct Complaints {
    last: Option<Moment>,
    since: u64,
}

impl Complaints {
    /// How many times it happened since the log last said so, if it is time to say it again.
    fn due(&mut self, clock: &Clock) -> Option<u64> {
        self.since += 1;
        let now = clock.now();
        if self.last.is_some_and(|last| now.since(last) < COMPLAIN) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

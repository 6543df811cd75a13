//! Accepts connections and gives each a task.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runtime::{Net, Tasks};

use crate::Error;
use crate::channel::Channel;
use crate::connection::{self, Door};

/// Connections of one listener at a time; further ones are closed at once.
const CONNECTIONS: usize = 65_536;
/// Rest after a failed accept: the process may be out of file descriptors.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

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
    tasks: &Tasks,
) -> Result<Listening, Error> {
    let listener = net
        .listen(address)
        .await
        .map_err(|source| Error::Listen { address, source })?;
    let local = listener
        .local_addr()
        .map_err(|source| Error::Listen { address, source })?;
    let (owner, shutdown) = (tasks.clone(), tasks.shutdown());
    tasks.spawn(format!("listener {local}"), async move {
        let open = Arc::new(());
        let clock = owner.clock().clone();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.requested() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(why) => {
                    tracing::warn!(%why, "a connection could not be accepted");
                    clock.sleep(AFTER_FAILURE).await;
                    continue;
                }
            };
            if Arc::strong_count(&open) > CONNECTIONS {
                tracing::warn!(%peer, limit = CONNECTIONS, "a connection was refused: there are too many");
                continue;
            }
            let (channel, outbox) = Channel::new(NEXT.fetch_add(1, Ordering::Relaxed), peer);
            let (door, clock, shutdown, open) = (door.clone(), clock.clone(), owner.shutdown(), open.clone());
            owner.spawn("connection", async move {
                connection::serve(stream, channel, outbox, door, clock, shutdown).await;
                drop(open);
            });
        }
    });
    Ok(Listening { address: local })
}

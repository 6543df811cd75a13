//! The API on a listener of the house's network.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use runtime::{Clock, Listener, Shutdown, Stream};

/// How long to wait after connections could not be taken in, for want of descriptors say.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers requests until the shutdown is requested and the last answer is given.
///
/// # Errors
/// The listener's own address cannot be told.
pub async fn serve(
    listener: Listener,
    router: Router,
    clock: Clock,
    shutdown: Shutdown,
) -> io::Result<()> {
    let local = listener.local_addr()?;
    let doors = Doors {
        listener,
        local,
        clock,
    };
    axum::serve(doors, router)
        .with_graceful_shutdown(async move { shutdown.requested().await })
        .await
}

struct Doors {
    listener: Listener,
    local: SocketAddr,
    clock: Clock,
}

impl axum::serve::Listener for Doors {
    type Io = Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Stream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken in");
                    self.clock.sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

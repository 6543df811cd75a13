//! Connections: TCP, or pipes inside this process.

mod pipe;
mod sim;
mod stream;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use sim::SimListener;
pub use sim::SimNet;
pub use stream::{ReadHalf, Stream, WriteHalf};

/// Handle to a network. Cheap to clone.
#[derive(Clone)]
pub struct Net {
    reach: Reach,
}

#[derive(Clone)]
enum Reach {
    Real(Option<Local>),
    Sim(SimNet),
}

/// Addresses that connections from this process reach without the kernel.
#[derive(Clone)]
struct Local {
    addresses: Arc<BTreeSet<SocketAddr>>,
    pipes: SimNet,
}

impl Net {
    /// The machine's TCP, with Nagle's delay off on every connection.
    pub fn real() -> Net {
        Net {
            reach: Reach::Real(None),
        }
    }

    /// A network of its own inside this process; nothing outside can reach it.
    pub fn in_memory() -> Net {
        SimNet::new().net()
    }

    /// The same network with a short cut: a connection made through this handle to `address`
    /// is a pipe to whoever listens there through it, and does not touch the kernel. Others
    /// still reach that listener by TCP. With nobody listening here, it is TCP as before.
    pub fn with_local(self, address: SocketAddr) -> Net {
        let Reach::Real(local) = self.reach else {
            return self;
        };
        let (mut addresses, pipes) = match local {
            Some(local) => (BTreeSet::clone(&local.addresses), local.pipes),
            None => (BTreeSet::new(), SimNet::new()),
        };
        addresses.insert(address);
        Net {
            reach: Reach::Real(Some(Local {
                addresses: Arc::new(addresses),
                pipes,
            })),
        }
    }

    /// Starts listening. Port 0 takes a free one.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let (tcp, pipes) = match &self.reach {
            Reach::Sim(net) => (None, Some(net.listen(address)?)),
            Reach::Real(local) => {
                let tcp = TcpListener::bind(address).await?;
                let bound = tcp.local_addr()?;
                let pipes = match local {
                    Some(local) if local.addresses.contains(&bound) => {
                        Some(local.pipes.listen(bound)?)
                    }
                    _ => None,
                };
                (Some(tcp), pipes)
            }
        };
        Ok(Listener { tcp, pipes })
    }

    /// Connects to `host:port`. In memory the host is an IP address or `localhost`.
    pub async fn connect(&self, address: &str) -> io::Result<Stream> {
        match &self.reach {
            Reach::Sim(net) => net.connect(sim::parse(address)?).await,
            Reach::Real(local) => {
                if let Some(local) = local
                    && let Ok(address) = sim::parse(address)
                    && local.addresses.contains(&address)
                    && local.pipes.is_listening(address)
                {
                    return local.pipes.connect(address).await;
                }
                Stream::tcp(TcpStream::connect(address).await?)
            }
        }
    }
}

/// Takes in connections until dropped.
pub struct Listener {
    tcp: Option<TcpListener>,
    pipes: Option<SimListener>,
}

impl Listener {
    /// The next connection and where it comes from. An error concerns that one connection or
    /// a shortage of the process; listening goes on. May be cancelled without loss.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        tokio::select! {
            biased;
            tcp = accept_tcp(self.tcp.as_ref()) => tcp,
            pipe = accept_pipe(self.pipes.as_ref()) => pipe,
        }
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match (&self.tcp, &self.pipes) {
            (Some(tcp), _) => tcp.local_addr(),
            (None, Some(pipes)) => Ok(pipes.address()),
            (None, None) => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

async fn accept_tcp(listener: Option<&TcpListener>) -> io::Result<(Stream, SocketAddr)> {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let (stream, peer) = listener.accept().await?;
    Ok((Stream::tcp(stream)?, peer))
}

async fn accept_pipe(listener: Option<&SimListener>) -> io::Result<(Stream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

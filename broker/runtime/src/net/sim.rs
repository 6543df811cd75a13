//! A network inside this process: who listens where, and which connections a test breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as TurnMutex, mpsc};

use super::pipe::{Latency, Pipe};
use super::stream::Ends;
use super::{Net, Reach, Stream};
use crate::{Clock, Rng};

/// Connections that may wait for `accept`; the next `connect` waits until one is taken.
const BACKLOG: usize = 128;

/// The first port given out for port 0 and to those who connect.
const FIRST_PORT: u16 = 49_152;

/// A network of its own, with switches for its faults. Cheap to clone.
#[derive(Clone)]
pub struct SimNet {
    /// Whom connections through this handle come from.
    from: IpAddr,
    state: Arc<Mutex<State>>,
}

/// Guarded by one lock, never held across an await.
#[derive(Default)]
struct State {
    listeners: BTreeMap<SocketAddr, mpsc::Sender<(Stream, SocketAddr)>>,
    refusing: BTreeSet<SocketAddr>,
    links: Vec<OpenLink>,
    /// The client's ends of the links.
    clients: BTreeSet<SocketAddr>,
    /// With so many links, those that have ended are looked for.
    full_at: usize,
    /// Pairs of hosts between which nothing arrives.
    held: BTreeSet<(IpAddr, IpAddr)>,
    latency: Option<Latency>,
    ports_given: u16,
}

/// A connection that a test may cut.
struct OpenLink {
    client: SocketAddr,
    server: SocketAddr,
    pipes: [Pipe; 2],
}

impl SimNet {
    pub fn new() -> SimNet {
        SimNet {
            from: Ipv4Addr::LOCALHOST.into(),
            state: Arc::default(),
        }
    }

    /// The handle that the code under test gets.
    pub fn net(&self) -> Net {
        Net {
            reach: Reach::Sim(self.clone()),
        }
    }

    /// The same network seen from another host: its connections come from `address`.
    pub fn host(&self, address: IpAddr) -> SimNet {
        SimNet {
            from: address,
            state: self.state.clone(),
        }
    }

    /// Breaks every open connection to a listener: both sides see a reset, and bytes on their
    /// way are lost. New connections succeed. Returns how many broke.
    pub fn cut(&self, server: SocketAddr) -> usize {
        self.cut_where(|link| link.server == server)
    }

    /// Breaks every open connection between two hosts, whoever made it.
    pub fn cut_between(&self, one: IpAddr, other: IpAddr) -> usize {
        self.cut_where(|link| pair_of(link.client, link.server) == (one.min(other), one.max(other)))
    }

    /// From now on `server` refuses new connections, or takes them again.
    pub fn refuse(&self, server: SocketAddr, refuse: bool) {
        let mut state = self.state.lock();
        if refuse {
            state.refusing.insert(server);
        } else {
            state.refusing.remove(&server);
        }
    }

    /// From now on nothing arrives between two hosts, or all that was held does. Nobody sees an
    /// error: this is a cable pulled out, and put back. New connections wait likewise.
    pub fn hold(&self, one: IpAddr, other: IpAddr, held: bool) {
        let pipes: Vec<Pipe> = {
            let mut state = self.state.lock();
            let pair = (one.min(other), one.max(other));
            if held {
                state.held.insert(pair);
            } else {
                state.held.remove(&pair);
            }
            let links = state.links.iter();
            let between = links.filter(|link| pair_of(link.client, link.server) == pair);
            between.flat_map(|link| link.pipes.clone()).collect()
        };
        for pipe in pipes {
            pipe.hold(held);
        }
    }

    /// What is written to connections made from now on arrives so many microseconds later,
    /// drawn for each write.
    pub fn delay(&self, microseconds: Range<u64>, clock: Clock, rng: Rng) {
        self.state.lock().latency = Some(Latency {
            clock,
            rng,
            range: microseconds,
        });
    }

    /// Connections open now.
    pub fn open_connections(&self) -> usize {
        let mut state = self.state.lock();
        state.forget_ended();
        state.links.len()
    }

    pub(super) fn is_listening(&self, address: SocketAddr) -> bool {
        self.state.lock().listener(address).is_some()
    }

    pub(super) fn listen(&self, address: SocketAddr) -> io::Result<SimListener> {
        let mut state = self.state.lock();
        let address = if address.port() == 0 {
            state.free_address(address.ip())
        } else {
            address
        };
        if state.listeners.contains_key(&address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (connections, arrivals) = mpsc::channel(BACKLOG);
        state.listeners.insert(address, connections);
        Ok(SimListener {
            address,
            net: self.clone(),
            arrivals: TurnMutex::new(arrivals),
        })
    }

    pub(super) async fn connect(&self, server: SocketAddr) -> io::Result<Stream> {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let listener = {
            let state = self.state.lock();
            if state.refusing.contains(&server) {
                return Err(refused());
            }
            state.listener(server).cloned().ok_or_else(refused)?
        };
        let place = listener.reserve().await.map_err(|_| refused())?;
        let (client, request, reply) = {
            let mut state = self.state.lock();
            if state.links.len() >= state.full_at {
                state.forget_ended();
                state.full_at = 2 * state.links.len() + 1;
            }
            let client = state.free_address(self.from);
            let new = || Pipe::new(state.latency.clone());
            let (request, reply) = (new(), new());
            let held = state.held.contains(&pair_of(client, server));
            request.hold(held);
            reply.hold(held);
            state.clients.insert(client);
            state.links.push(OpenLink {
                client,
                server,
                pipes: [request.clone(), reply.clone()],
            });
            (client, request, reply)
        };
        let far = Stream::pipes(
            request.clone(),
            reply.clone(),
            Ends {
                local: server,
                peer: client,
            },
        );
        place.send((far, client));
        Ok(Stream::pipes(
            reply,
            request,
            Ends {
                local: client,
                peer: server,
            },
        ))
    }

    fn cut_where(&self, chosen: impl Fn(&OpenLink) -> bool) -> usize {
        let cut: Vec<OpenLink> = {
            let mut state = self.state.lock();
            state.forget_ended();
            let State { links, clients, .. } = &mut *state;
            let of_those = |link: &mut OpenLink| chosen(link) && clients.remove(&link.client);
            links.extract_if(.., of_those).collect()
        };
        for pipe in cut.iter().flat_map(|link| &link.pipes) {
            pipe.cut();
        }
        cut.len()
    }
}

impl Default for SimNet {
    fn default() -> SimNet {
        SimNet::new()
    }
}

impl State {
    /// Who answers at an address: its own listener, or one on all of the host's addresses.
    fn listener(&self, address: SocketAddr) -> Option<&mpsc::Sender<(Stream, SocketAddr)>> {
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        self.listeners
            .get(&address)
            .or_else(|| self.listeners.get(&SocketAddr::new(any, address.port())))
    }

    fn free_address(&mut self, ip: IpAddr) -> SocketAddr {
        loop {
            let port = FIRST_PORT + self.ports_given;
            self.ports_given = (self.ports_given + 1) % (u16::MAX - FIRST_PORT);
            let address = SocketAddr::new(ip, port);
            if self.listener(address).is_none() && !self.clients.contains(&address) {
                return address;
            }
        }
    }

    fn forget_ended(&mut self) {
        let clients = &mut self.clients;
        self.links.retain(|link| {
            let over = link.pipes.iter().all(Pipe::is_over);
            !(over && clients.remove(&link.client))
        });
    }
}

/// Takes in the connections to one address.
pub(super) struct SimListener {
    address: SocketAddr,
    net: SimNet,
    arrivals: TurnMutex<mpsc::Receiver<(Stream, SocketAddr)>>,
}

impl SimListener {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let arrival = self.arrivals.lock().await.recv().await;
        arrival.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.net.state.lock().listeners.remove(&self.address);
    }
}

fn pair_of(one: SocketAddr, other: SocketAddr) -> (IpAddr, IpAddr) {
    (one.ip().min(other.ip()), one.ip().max(other.ip()))
}

/// Reads `host:port` where the host is an IP address or `localhost`.
pub(super) fn parse(address: &str) -> io::Result<SocketAddr> {
    let parsed = match address.strip_prefix("localhost:") {
        Some(port) => port
            .parse()
            .ok()
            .map(|port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)),
        None => address.parse().ok(),
    };
    parsed.ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{address} is not an address in this network"),
        )
    })
}

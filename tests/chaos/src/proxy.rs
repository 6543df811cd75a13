//! A door in front of the broker that cuts, holds up, or half closes what passes through.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::{Condvar, Mutex};

const BUFFER: usize = 64 << 10;

pub(crate) struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    to: String,
    ended: AtomicBool,
    /// Both sides of every connection, as client and broker.
    pairs: Mutex<Vec<(TcpStream, TcpStream)>>,
    stalled: Mutex<bool>,
    flows: Condvar,
}

impl Proxy {
    /// Listens at `address` for connections that are meant for `to`.
    pub(crate) fn start(address: &str, to: &str) -> Result<Proxy> {
        let listener =
            TcpListener::bind(address).with_context(|| format!("{address} is not free"))?;
        let shared = Arc::new(Shared {
            to: to.to_owned(),
            ended: AtomicBool::new(false),
            pairs: Mutex::default(),
            stalled: Mutex::new(false),
            flows: Condvar::new(),
        });
        let door = shared.clone();
        std::thread::spawn(move || door.accept(&listener));
        Ok(Proxy {
            address: address.to_owned(),
            shared,
        })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Every connection breaks.
    pub(crate) fn cut(&self) {
        for (client, broker) in self.shared.pairs.lock().drain(..) {
            client.shutdown(Shutdown::Both).ok();
            broker.shutdown(Shutdown::Both).ok();
        }
    }

    /// Nothing passes for as long as this is on; nothing is lost either.
    pub(crate) fn stall(&self, on: bool) {
        *self.shared.stalled.lock() = on;
        self.shared.flows.notify_all();
    }

    /// Every connection is closed in one direction: nothing more goes to the broker, or
    /// nothing more comes from it.
    pub(crate) fn close_half(&self, to_broker: bool) {
        for (client, broker) in self.shared.pairs.lock().drain(..) {
            let side = if to_broker { broker } else { client };
            side.shutdown(Shutdown::Write).ok();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.stall(false);
        self.cut();
        // Wakes the door, which then sees that it is over.
        if let Ok(address) = self.address.parse::<SocketAddr>() {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok();
        }
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
            if let Ok(client) = client {
                // Nobody behind the door: the client finds its connection closed.
                self.clone().join(client).ok();
            }
        }
    }

    fn join(self: Arc<Self>, client: TcpStream) -> std::io::Result<()> {
        let broker = TcpStream::connect(&self.to)?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let pair = (client.try_clone()?, broker.try_clone()?);
        self.pairs.lock().push(pair);
        for (from, to) in [(client.try_clone()?, broker.try_clone()?), (broker, client)] {
            let shared = self.clone();
            std::thread::spawn(move || shared.pass(from, to));
        }
        Ok(())
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; BUFFER];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut stalled = self.stalled.lock();
            while *stalled {
                self.flows.wait(&mut stalled);
            }
            drop(stalled);
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        // A side that is done with speaking may still listen.
        to.shutdown(Shutdown::Write).ok();
        from.shutdown(Shutdown::Read).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has one").to_string();
        (listener, address)
    }

    #[test]
    fn bytes_pass_until_the_connection_is_cut() {
        let (listener, to) = echo();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody comes");
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
        });
        let proxy = Proxy::start("127.0.0.1:18911", &to).expect("the port is free");
        let mut stream = TcpStream::connect(proxy.address()).expect("it listens");
        stream.write_all(b"a").expect("it is open");
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("it comes back");
        proxy.cut();
        assert_eq!(stream.read(&mut byte).unwrap_or(0), 0);
    }
}

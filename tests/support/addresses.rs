//! Addresses that a test may listen on.

use std::net::{Ipv4Addr, TcpListener};

/// Addresses of this machine that nobody listens on.
pub fn free_addresses<const N: usize>() -> [String; N] {
    // All are held before one is let go, so that no two are the same.
    let held: [_; N] = std::array::from_fn(|_| free());
    held.map(|(listener, _)| {
        let address = listener.local_addr().expect("a listener has an address");
        address.to_string()
    })
}

/// A free port whose second neighbour below is free as well: a broker listens there, too.
fn free() -> (TcpListener, TcpListener) {
    let mut unfit = Vec::new();
    loop {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        match TcpListener::bind((Ipv4Addr::LOCALHOST, address.port() - 2)) {
            Ok(below) => return (listener, below),
            // Held, or it would be offered again.
            Err(_) => unfit.push(listener),
        }
    }
}

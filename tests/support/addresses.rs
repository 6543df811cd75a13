//! Addresses that a test may listen on.

use std::net::TcpListener;

/// Addresses of this machine that nobody listens on.
pub fn free_addresses<const N: usize>() -> [String; N] {
    // All are held before one is let go, so that no two are the same.
    let held: [TcpListener; N] = std::array::from_fn(|_| {
        TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port")
    });
    held.map(|listener| {
        let address = listener.local_addr().expect("a listener has an address");
        address.to_string()
    })
}

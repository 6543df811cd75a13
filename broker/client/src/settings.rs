//! What an application chooses about its client.

use std::time::Duration;

use runtime::{Net, Rng, Tasks};

/// How a client reaches its brokers, and what it is called there.
#[derive(Clone)]
pub struct Settings {
    /// `host:port` of every name server.
    pub name_servers: Vec<String>,
    pub net: Net,
    /// Runs the client's tasks, and tells it the time.
    pub tasks: Tasks,
    pub rng: Rng,
    /// Tells clients on one host apart; two clients of one group must differ in it. By default
    /// the process id and a random number.
    pub instance: Option<String>,
    pub timeouts: Timeouts,
}

/// How long the client waits.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the answer to any request that has no limit of its own.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(3),
            request: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// `name_servers` is a list of `host:port`, separated by semicolons or commas.
    pub fn new(name_servers: &str, net: Net, tasks: Tasks) -> Settings {
        let name_servers = name_servers
            .split([';', ','])
            .map(str::trim)
            .filter(|address| !address.is_empty())
            .map(str::to_owned);
        Settings {
            name_servers: name_servers.collect(),
            net,
            tasks,
            rng: Rng::from_entropy(),
            instance: None,
            timeouts: Timeouts::default(),
        }
    }
}

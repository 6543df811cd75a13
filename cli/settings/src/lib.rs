//! The settings of the whole house: one file, the environment and flags, merged and checked.
//!
//! `file < MILLSTREAM__BROKER__LISTEN < --set broker.listen=…`. The printed default is the
//! manual: every key stands in [`DEFAULT`] with its meaning.

mod address;
mod broker_conf;
mod check;
mod layers;
mod namesrv_conf;
mod nearest;
mod properties;
mod units;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use address::{Address, Advertise, NameServers};
pub use broker_conf::translate;
pub use check::check;
pub use layers::{Layers, load};
pub use namesrv_conf::translate_name_server;
pub use nearest::nearest;
pub use properties::{Fate, Translated};
pub use units::{Bytes, Hours, Percent, Span};

/// Every key with its default and what it means: what `millstream config default` prints.
pub const DEFAULT: &str = include_str!("default.toml");

/// What a file that names a port or an address, but not both, leaves to the default.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NAME_SERVER_PORT: u16 = 9_876;
const BROKER_PORT: u16 = 10_911;

/// All settings, one table a part.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    pub nameserver: NameServer,
    pub broker: Broker,
    pub store: Store,
    pub topics: AutoCreate,
    pub groups: AutoCreate,
    pub limits: Limits,
    pub streams: Streams,
    pub functions: Functions,
    pub connect: Connect,
    pub admin: Admin,
    pub security: Security,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NameServer {
    pub listen: Address,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Broker {
    pub cluster: String,
    pub name: String,
    pub id: u64,
    pub listen: Address,
    pub advertise: Advertise,
    pub nameservers: NameServers,
}

impl Broker {
    /// The address that routes and messages carry.
    pub fn advertised(&self) -> SocketAddr {
        self.advertise.0.unwrap_or(self.listen.0)
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Store {
    pub path: PathBuf,
    pub flush: Flush,
    pub segment_bytes: Bytes,
    pub retention: Hours,
    pub clean_percent: Percent,
    pub refuse_percent: Percent,
    pub hot_bytes: Bytes,
}

/// When a send is acknowledged. `broker.conf`: `flushDiskType`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flush {
    /// The bytes are in the kernel: survives `kill -9`.
    Async,
    /// The bytes are on the disk: survives power loss.
    Sync,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AutoCreate {
    pub auto_create: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    pub body: Bytes,
    pub connections: usize,
    pub connections_of_address: usize,
    pub bytes_in_flight: Bytes,
    pub bytes_in_flight_of_connection: Bytes,
    pub sends_waiting: Bytes,
    pub stall: Span,
    pub admission: Span,
    pub header: Span,
    pub idle: Span,
    pub write: Span,
    pub polls: usize,
    pub polls_of_queue: usize,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Streams {
    pub path: PathBuf,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Functions {
    pub cache: PathBuf,
    pub deadline: Span,
    pub memory: Bytes,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Connect {
    pub listen: Address,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Admin {
    pub listen: Address,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Security {
    pub insecure: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_default_is_what_the_house_runs_with() {
        let settings = load(&Layers::default()).expect("the embedded default is valid");
        assert_eq!(
            settings.broker.listen.to_string(),
            format!("{LOOPBACK}:{BROKER_PORT}")
        );
        assert_eq!(
            settings.nameserver.listen.to_string(),
            format!("{LOOPBACK}:{NAME_SERVER_PORT}")
        );
        assert_eq!(settings.store.flush, Flush::Async);
        assert_eq!(settings.store.segment_bytes, Bytes(1 << 30));
    }
}

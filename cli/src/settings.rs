//! The settings of the whole house: one file, the environment and flags, merged and checked.
//!
//! `file < MILLSTREAM__BROKER__LISTEN < --set broker.listen=…`. The printed default is the
//! manual: every key stands in [`DEFAULT`] with its meaning.

mod broker_conf;
mod check;
mod layers;
mod units;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use broker_conf::{Line, translate};
pub use check::check;
pub use layers::{Layers, load};
pub use units::{Bytes, Span};

/// Every key with its default and what it means: what `millstream config default` prints.
pub const DEFAULT: &str = include_str!("settings/default.toml");

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
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct NameServer {
    pub listen: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Broker {
    pub cluster: String,
    pub name: String,
    pub id: u64,
    pub listen: String,
    pub advertise: String,
    pub nameservers: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Store {
    pub path: PathBuf,
    pub flush: Flush,
    pub segment_bytes: Bytes,
    pub retention: Span,
    pub clean_percent: u8,
    pub refuse_percent: u8,
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
    pub listen: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Admin {
    pub listen: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_default_is_what_the_house_runs_with() {
        let settings = load(&Layers::default()).expect("the embedded default is valid");
        assert_eq!(settings.broker.listen, "127.0.0.1:10911");
        assert_eq!(settings.store.flush, Flush::Async);
        assert_eq!(settings.store.segment_bytes, Bytes(1 << 30));
    }
}

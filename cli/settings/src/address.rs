//! Addresses as people write them.

use std::fmt;
use std::net::SocketAddr;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use super::units::written_as_text;

/// Where one door is: `127.0.0.1:10911`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

/// The address that routes carry, if it is not the one that is listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertise(pub Option<SocketAddr>);

/// Name servers, each `host:port`, separated by `;`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServers(pub Vec<String>);

impl Address {
    pub fn parse(text: &str) -> Option<Address> {
        text.trim().parse().ok().map(Address)
    }
}

impl Advertise {
    pub fn parse(text: &str) -> Option<Advertise> {
        match text.trim() {
            "" => Some(Advertise(None)),
            text => Some(Advertise(Some(text.parse().ok()?))),
        }
    }
}

impl NameServers {
    pub fn parse(text: &str) -> Option<NameServers> {
        let servers = text
            .split(';')
            .map(str::trim)
            .filter(|server| !server.is_empty())
            .map(|server| {
                let (host, port) = server.rsplit_once(':')?;
                port.parse::<u16>().ok()?;
                (!host.is_empty()).then(|| server.to_owned())
            });
        servers.collect::<Option<_>>().map(NameServers)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Advertise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|address| address.fmt(f))
    }
}

impl fmt::Display for NameServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(";"))
    }
}

written_as_text!(Address, "an address such as \"127.0.0.1:10911\"");
// A message carries four or sixteen bytes of its broker's address, and no name.
written_as_text!(
    Advertise,
    "an IP address and a port such as \"10.0.0.7:10911\", since names are not resolved"
);
written_as_text!(
    NameServers,
    "host:port, several separated by `;`, such as \"127.0.0.1:9876\""
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertised_name_is_refused_and_an_empty_one_is_none() {
        assert_eq!(Advertise::parse("broker.example:10911"), None);
        assert_eq!(Advertise::parse(""), Some(Advertise(None)));
        let told = Advertise::parse("10.0.0.7:10911").expect("an address is one");
        assert_eq!(told.to_string(), "10.0.0.7:10911");
    }

    #[test]
    fn name_servers_may_be_names_and_need_a_port() {
        let both = NameServers::parse(" a.example:9876; 10.0.0.7:9876;").expect("both have a port");
        assert_eq!(both.to_string(), "a.example:9876;10.0.0.7:9876");
        for text in ["a.example", ":9876", "a:x", "a:9876;b"] {
            assert_eq!(NameServers::parse(text), None, "{text}");
        }
    }
}

//! Translates the file of RocketMQ's `mqnamesrv -c`: each line is mapped, without effect, or refused.

use std::net::{IpAddr, SocketAddr};

use super::broker_conf::{ip, port};
use super::properties::{
    Fate, NO_SUCH_PATH, NO_THREAD_POOLS, Properties, Translated, not_known, sizes_a_thread_pool,
};
use super::{LOOPBACK, NAME_SERVER_PORT};

const MAPPED: &[&str] = &["listenPort", "bindAddress"];

/// Keys that are accepted and change nothing, with the reason.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("kvConfigPath", "values are kept in the data folder"),
    ("configStorePath", "settings are read and never written"),
];

/// Translates the text of a name server's properties.
pub fn translate_name_server(text: &str) -> Translated {
    let file = Properties::read(text);
    let host: IpAddr = file.last("bindAddress").unwrap_or(LOOPBACK);
    let number: u16 = file.last("listenPort").unwrap_or(NAME_SERVER_PORT);
    let listen =
        |host, port| Fate::Mapped(format!("nameserver.listen={}", SocketAddr::new(host, port)));
    file.translated(|key, value| {
        if let Some((_, why)) = WITHOUT_EFFECT.iter().find(|(known, _)| *known == key) {
            return Fate::WithoutEffect((*why).to_owned());
        }
        match key {
            "listenPort" => port(value).map_or_else(Fate::Refused, |port| listen(host, port)),
            "bindAddress" => ip(value).map_or_else(Fate::Refused, |ip| listen(ip, number)),
            "rocketmqHome" | "configBlackList" => Fate::Refused(NO_SUCH_PATH.to_owned()),
            _ if sizes_a_thread_pool(key) => Fate::WithoutEffect(NO_THREAD_POOLS.to_owned()),
            _ => {
                let without = WITHOUT_EFFECT.iter().map(|(known, _)| *known);
                not_known(key, MAPPED.iter().copied().chain(without))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_servers_file_says_what_becomes_of_each_line() {
        let text = "listenPort=19876\nbindAddress=192.0.2.7\nkvConfigPath=/x\nclusterTest=true\nrocketmqHome=/x\n";
        let lines: Vec<_> = translate_name_server(text)
            .lines
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "line 1: listenPort sets nameserver.listen=192.0.2.7:19876",
                "line 2: bindAddress sets nameserver.listen=192.0.2.7:19876",
                "line 3: kvConfigPath has no effect: values are kept in the data folder",
                "line 4: clusterTest has no effect: it is not known here",
                "line 5: rocketmqHome: is not a setting here: nothing is run or read from such a path; remove the line",
            ]
        );
    }
}

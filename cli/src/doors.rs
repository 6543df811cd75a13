//! Who can reach the doors: nobody outside this machine by accident.

use settings::{Broker, Settings};

use crate::failure::{Exit, Failure};

/// Refuses doors that strangers could enter, and a broker whose clients could not find it.
pub fn check(settings: &Settings) -> Result<(), Failure> {
    let open = open_doors(settings);
    if !open.is_empty() && !settings.security.insecure {
        let what = open.join(" and ");
        return Err(
            Failure::new(Exit::Usage, "settings.insecure", format!("{what} would be open to strangers"))
                .why("the address is not loopback, and there is no login: whoever reaches it reads, writes and deletes")
                .fix("listen on 127.0.0.1, or accept it:  --insecure"),
        );
    }
    let advertised = settings.broker.advertised();
    if advertised.ip().is_unspecified() {
        return Err(Failure::new(
            Exit::Usage,
            "settings.advertise",
            format!("routes cannot carry {advertised}"),
        )
        .why("the broker listens on every address, and clients need one that they can connect to")
        .fix("set broker.advertise to the address that clients reach (broker.conf: brokerIP1)"));
    }
    Ok(())
}

/// The listeners that more than this machine can reach, as `key = address`.
fn open_doors(settings: &Settings) -> Vec<String> {
    let doors = [
        ("nameserver.listen", settings.nameserver.listen),
        ("broker.listen", settings.broker.listen),
        ("connect.listen", settings.connect.listen),
        ("admin.listen", settings.admin.listen),
    ];
    doors
        .into_iter()
        .filter(|(_, address)| !address.0.ip().to_canonical().is_loopback())
        .map(|(key, address)| format!("{key} = {address}"))
        .collect()
}

/// A warning, if routes send clients to where this broker does not listen.
pub fn out_of_reach(broker: &Broker) -> Option<String> {
    let (advertised, listen) = (broker.advertised(), broker.listen);
    let lost = listen.0.ip().is_loopback() && !advertised.ip().is_loopback();
    lost.then(|| {
        format!(
            "clients are sent to {advertised}, but the broker listens on {listen} only: \
             unless something forwards there, set broker.listen too (broker.conf: bindAddress)"
        )
    })
}

#[cfg(test)]
mod tests {
    use settings::{Layers, load};

    use super::*;

    fn settings(flags: &[&str]) -> Settings {
        let flags = flags.iter().map(|flag| flag.to_string()).collect();
        load(&Layers {
            flags,
            ..Layers::default()
        })
        .expect("the test's flags are valid")
    }

    #[test]
    fn a_door_that_strangers_reach_is_refused_unless_told() {
        let open = [
            "nameserver.listen=192.0.2.7:9876",
            "connect.listen=[::]:8083",
        ];
        let failure = check(&settings(&open)).expect_err("two doors are open");
        insta::assert_snapshot!(failure, @r"
        error: nameserver.listen = 192.0.2.7:9876 and connect.listen = [::]:8083 would be open to strangers  [settings.insecure]
          why: the address is not loopback, and there is no login: whoever reaches it reads, writes and deletes
          fix: listen on 127.0.0.1, or accept it:  --insecure
        ");
        let told = [open[0], open[1], "security.insecure=true"];
        check(&settings(&told)).expect("it was accepted");
        let loopback = ["broker.listen=127.0.0.2:1", "admin.listen=[::1]:2"];
        check(&settings(&loopback)).expect("nobody else reaches these");
    }

    #[test]
    fn a_broker_on_every_address_must_say_which_one_clients_reach() {
        let every = ["broker.listen=0.0.0.0:10911", "security.insecure=true"];
        let failure = check(&settings(&every)).expect_err("routes would carry 0.0.0.0");
        assert_eq!(failure.code, "settings.advertise");
        let told = [every[0], every[1], "broker.advertise=192.0.2.7:10911"];
        check(&settings(&told)).expect("routes carry 192.0.2.7");
    }

    #[test]
    fn an_advertised_address_that_is_not_listened_on_is_warned_of() {
        assert_eq!(out_of_reach(&settings(&[]).broker), None);
        let lost = settings(&["broker.advertise=192.0.2.7:10911"]);
        assert!(out_of_reach(&lost.broker).is_some());
    }
}

//! Routes appear with a registration and go with the broker.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Topic;
use nameserver::{BrokerAddress, DataVersion, Registration, Routes, TopicQueues};
use runtime::SimClock;

fn address(broker: &str, id: u64) -> BrokerAddress {
    BrokerAddress {
        cluster: "C".into(),
        broker: broker.into(),
        id,
        address: format!("10.0.0.{id}:10911"),
    }
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("the test's topic is valid")
}

fn queues(count: u32) -> TopicQueues {
    TopicQueues {
        read_queues: count,
        write_queues: count,
        permission: 6,
        system_flag: 0,
    }
}

fn registration(broker: &str, id: u64, version: i64, topics: &[&str]) -> Registration {
    Registration {
        from: address(broker, id),
        ha_address: "10.0.0.9:10912".into(),
        lease: None,
        zone: None,
        acting_master: false,
        version: DataVersion {
            state_version: version,
            ..DataVersion::default()
        },
        topics: topics
            .iter()
            .map(|name| (topic(name), queues(4)))
            .collect::<BTreeMap<_, _>>(),
    }
}

fn names(routes: &Routes) -> Vec<String> {
    routes.topics().iter().map(ToString::to_string).collect()
}

#[test]
fn a_registration_replaces_what_the_broker_said_before() {
    let routes = Routes::new(SimClock::new(0).clock());
    routes.register(registration("a", 0, 1, &["orders", "old"]), 1);
    routes.register(registration("b", 0, 1, &["orders"]), 2);
    routes.register(registration("a", 0, 1, &["orders", "new"]), 1);
    assert_eq!(names(&routes), ["new", "orders"]);
    let route = routes.route("orders").expect("two brokers serve it");
    assert_eq!(
        route
            .brokers
            .iter()
            .map(|broker| broker.broker.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert!(routes.route("old").is_none());
    assert_eq!(routes.topics_of_cluster("C").len(), 2);
    assert_eq!(routes.topics_of_cluster("D").len(), 0);
}

#[test]
fn an_older_topic_table_is_not_believed() {
    let routes = Routes::new(SimClock::new(0).clock());
    routes.register(registration("a", 0, 5, &["orders"]), 1);
    routes.register(registration("a", 0, 4, &[]), 1);
    assert!(routes.route("orders").is_some());
}

#[test]
fn a_replica_learns_its_master_and_registers_no_topics() {
    let routes = Routes::new(SimClock::new(0).clock());
    assert_eq!(
        routes
            .register(registration("a", 1, 1, &["stray"]), 1)
            .master_address,
        None
    );
    routes.register(registration("a", 0, 1, &["orders"]), 2);
    let registered = routes.register(registration("a", 1, 1, &["stray"]), 1);
    assert_eq!(registered.master_address.as_deref(), Some("10.0.0.0:10911"));
    assert_eq!(registered.ha_address.as_deref(), Some("10.0.0.9:10912"));
    assert_eq!(names(&routes), ["orders"]);
}

#[test]
fn a_silent_broker_leaves_the_routes_and_a_heartbeat_keeps_it() {
    let clock = SimClock::new(0);
    let routes = Routes::new(clock.clock());
    routes.register(registration("a", 0, 1, &["orders"]), 1);
    clock.advance(Duration::from_secs(100));
    assert!(routes.heartbeat(&address("a", 0)).is_some());
    clock.advance(Duration::from_secs(100));
    routes.expire();
    assert!(routes.route("orders").is_some());
    clock.advance(Duration::from_secs(21));
    routes.expire();
    assert!(routes.route("orders").is_none());
    assert!(routes.cluster().brokers.is_empty() && routes.cluster().clusters.is_empty());
}

#[test]
fn a_closed_connection_takes_its_brokers_at_once() {
    let routes = Routes::new(SimClock::new(0).clock());
    routes.register(registration("a", 0, 1, &["orders"]), 7);
    routes.connection_closed(8);
    assert!(routes.route("orders").is_some());
    routes.connection_closed(7);
    assert!(routes.route("orders").is_none());
}

#[test]
fn write_permission_can_be_wiped_and_given_back() {
    let routes = Routes::new(SimClock::new(0).clock());
    routes.register(registration("a", 0, 1, &["orders", "bills"]), 1);
    assert_eq!(routes.wipe_write_permission("a"), 2);
    assert_eq!(
        routes.route("orders").expect("still served").queues[0]
            .queues
            .permission,
        4
    );
    assert_eq!(routes.wipe_write_permission("a"), 0);
    assert_eq!(routes.add_write_permission("a"), 2);
    assert_eq!(routes.add_write_permission("nobody"), 0);
}

#[test]
fn a_deleted_topic_is_gone_in_the_named_cluster_only() {
    let routes = Routes::new(SimClock::new(0).clock());
    routes.register(registration("a", 0, 1, &["orders"]), 1);
    routes.delete_topic("orders", Some("D"));
    assert!(routes.route("orders").is_some());
    routes.delete_topic("orders", Some("C"));
    assert!(routes.route("orders").is_none());
    assert!(routes.register_topic("a", topic("orders"), queues(1)));
    assert!(!routes.register_topic("stranger", topic("orders"), queues(1)));
    assert_eq!(
        routes.route("orders").expect("it is back").queues[0]
            .queues
            .write_queues,
        1
    );
}

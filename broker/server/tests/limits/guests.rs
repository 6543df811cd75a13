//! How many connections there may be.

use runtime::SimClock;
use server::Limits;

use crate::house::House;

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_those_inside_are_served_on() {
    let clock = SimClock::new(0);
    let limits = Limits {
        connections: 3,
        connections_of_address: 2,
        ..Limits::default()
    };
    let house = House::simulated(&clock, limits).await;
    let mut inside = house.connect_from([192, 0, 2, 1]).await;
    assert!(inside.is_served().await);
    let mut second = house.connect_from([192, 0, 2, 1]).await;
    assert!(second.is_served().await);
    for count in 1..=20 {
        let mut third = house.connect_from([192, 0, 2, 1]).await;
        assert!(third.read().await.is_none(), "its address has two");
        let usage = house.broker.usage();
        assert_eq!(usage.count("connectionsRefusedOfAddress"), count);
        assert!(inside.is_served().await);
    }
    let mut elsewhere = house.connect_from([192, 0, 2, 2]).await;
    assert!(elsewhere.is_served().await);
    let mut last = house.connect_from([192, 0, 2, 3]).await;
    assert!(last.read().await.is_none(), "three are inside");
    assert_eq!(house.broker.usage().count("connectionsRefused"), 1);
    drop(second);
    house
        .until("one left", |usage| usage.connections == 2)
        .await;
    assert!(house.connect_from([192, 0, 2, 1]).await.is_served().await);
}

/// In memory: a machine lets few processes open so many descriptors.
#[tokio::test]
async fn fifty_thousand_connections_are_all_served() {
    const CONNECTIONS: usize = 50_000;
    let house = House::simulated(&SimClock::new(0), Limits::default()).await;
    let mut first = house.connect_from([192, 0, 2, 1]).await;
    let mut crowd = Vec::with_capacity(CONNECTIONS);
    for number in 1..CONNECTIONS {
        let [.., high, low] = number.to_be_bytes();
        let mut client = house.connect_from([198, 18, high, low]).await;
        assert!(client.is_served().await, "number {number}");
        crowd.push(client);
    }
    assert_eq!(house.broker.usage().connections, CONNECTIONS);
    assert!(first.is_served().await);
    for client in crowd.iter_mut().step_by(1_000) {
        assert!(client.is_served().await);
    }
    drop(crowd);
    house
        .until("one left", |usage| usage.connections == 1)
        .await;
    assert!(first.is_served().await);
    assert_eq!(house.broker.usage().count("connectionsRefused"), 0);
}

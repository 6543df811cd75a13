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

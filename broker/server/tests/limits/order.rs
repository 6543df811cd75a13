//! What comes with one read is stored in the order in which it came.

use protocol::ReadFields;
use protocol::headers::SendReply;
use runtime::SimClock;
use server::Limits;

use crate::house::{House, send, send_batch};

#[tokio::test]
async fn single_sends_and_batches_of_one_read_keep_their_order() {
    let clock = SimClock::new(0);
    let house = House::simulated(&clock, Limits::default()).await;
    let mut client = house.connect().await;
    let requests = [
        send(1, 10),
        send_batch(2, 3),
        send_batch(3, 2),
        send(4, 10),
        send(5, 10),
        send_batch(6, 2),
    ];
    assert!(client.write(&requests.concat()).await);
    let mut places = Vec::new();
    for _ in &requests {
        let reply = client.read().await.expect("each is answered");
        let told = SendReply::read_fields(&reply.header.ext).expect("it is stored");
        places.push((reply.header.opaque, told.queue_offset));
    }
    places.sort_unstable();
    assert_eq!(places, [(1, 0), (2, 1), (3, 4), (4, 6), (5, 7), (6, 8)]);
}

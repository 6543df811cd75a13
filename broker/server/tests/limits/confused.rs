//! Clients that mix up opaques, send answers nobody asked for, and want none to what they ask.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use protocol::headers::SendReply;
use protocol::{ExtFields, Flag, Frame, ReadFields, RequestCode, ResponseCode};
use runtime::{Rng, SimClock};
use server::Limits;

use crate::house::{Client, House, frame, send};

/// Nobody knows it.
const UNKNOWN: RequestCode = RequestCode(31_415);
/// All clients take their opaques from so few.
const OPAQUES: u64 = 4;

/// How often an opaque is to be answered with a code.
type Answers = BTreeMap<(i32, i32), u32>;

/// One client, and what it is still to hear.
struct Guest {
    client: Client,
    awaited: Answers,
    stored: BTreeSet<i64>,
    written: BytesMut,
}

impl Guest {
    fn asks(&mut self, bytes: &[u8], opaque: i32, code: ResponseCode) {
        self.written.extend_from_slice(bytes);
        *self.awaited.entry((opaque, code.0)).or_default() += 1;
    }

    /// Adds one thing to what it writes next; returns whether that stores a message.
    fn acts(&mut self, rng: &Rng) -> bool {
        let opaque = rng.range(0..OPAQUES) as i32;
        let body = rng.range(1..200) as usize;
        let what = rng.range(0..6);
        match what {
            0 | 1 => self.asks(&send(opaque, body), opaque, ResponseCode::SUCCESS),
            2 => {
                let bytes = frame(UNKNOWN, ExtFields::new(), vec![1; body], opaque);
                let code = ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
                self.asks(&bytes, opaque, code);
            }
            3 => {
                let bytes = frame(
                    RequestCode::SEND_MESSAGE_V2,
                    ExtFields::new(),
                    Vec::new(),
                    opaque,
                );
                self.asks(&bytes, opaque, ResponseCode::SYSTEM_ERROR);
            }
            4 => {
                let bytes = changed(&send(opaque, body), Frame::oneway);
                self.written.extend_from_slice(&bytes);
            }
            _ => {
                let answer = |mut frame: Frame| {
                    frame.header.flag = Flag::RESPONSE;
                    frame
                };
                let bytes = changed(&send(opaque, body), answer);
                self.written.extend_from_slice(&bytes);
            }
        }
        matches!(what, 0 | 1 | 4)
    }

    async fn hears_everything(&mut self) {
        while !self.awaited.is_empty() {
            let reply = self.client.read().await.expect("the broker answers");
            let header = &reply.header;
            let key = (header.opaque, header.code);
            let left = self.awaited.get_mut(&key);
            let left = left.unwrap_or_else(|| panic!("{header:?} answers nothing of this client"));
            *left -= 1;
            if *left == 0 {
                self.awaited.remove(&key);
            }
            if header.code == ResponseCode::SUCCESS.0 {
                let told = SendReply::read_fields(&header.ext).expect("it is stored");
                assert!(self.stored.insert(told.queue_offset), "{header:?}");
            }
        }
    }
}

fn changed(bytes: &Bytes, change: impl FnOnce(Frame) -> Frame) -> Bytes {
    let mut input = BytesMut::from(&bytes[..]);
    let frame = Frame::decode(&mut input).expect("our own").expect("whole");
    let mut changed = BytesMut::new();
    change(frame).encode(&mut changed);
    changed.freeze()
}

#[tokio::test]
async fn confused_clients_hear_each_answer_once_and_no_other_clients() {
    for seed in 0..20 {
        let rng = Rng::seeded(seed);
        let clock = SimClock::new(0);
        let house = House::simulated(&clock, Limits::default()).await;
        let mut guests = Vec::new();
        for _ in 0..6 {
            guests.push(Guest {
                client: house.connect().await,
                awaited: Answers::new(),
                stored: BTreeSet::new(),
                written: BytesMut::new(),
            });
        }
        let mut sent = 0;
        for _ in 0..30 {
            for guest in &mut guests {
                for _ in 0..rng.range(0..12) {
                    sent += usize::from(guest.acts(&rng));
                }
                // Requests are cut where no frame ends.
                let cut = rng.range(0..guest.written.len() as u64 + 1) as usize;
                let part = guest.written.split_to(cut);
                assert!(guest.client.write(&part).await, "seed {seed}");
            }
        }
        let mut stored = BTreeSet::new();
        for guest in &mut guests {
            let rest = guest.written.split();
            assert!(guest.client.write(&rest).await, "seed {seed}");
            guest.hears_everything().await;
            assert!(guest.client.is_served().await, "seed {seed}");
            for offset in &guest.stored {
                assert!(stored.insert(*offset), "seed {seed}: {offset} twice");
            }
        }
        // What nobody was to hear of is stored, too, and nothing that was an answer.
        let behind = guests[0].client.ask(&send(1, 1)).await;
        let behind = SendReply::read_fields(&behind.header.ext).expect("it is stored");
        let sent = i64::try_from(sent).expect("few");
        assert_eq!(behind.queue_offset, sent, "seed {seed}");
        assert!(stored.iter().all(|offset| *offset < sent), "seed {seed}");
    }
}

//! Every order in which senders and leaders can meet, within loom's bounds.
//!
//! A model in which somebody waits for ever fails by itself: loom finds nobody who could go on.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use futures::FutureExt;
use loom::future::block_on;
use loom::thread;

use super::*;
use crate::sync::explore;

/// Counts what is written.
struct Tally<const BATCH: u64, const LEADERSHIP: u64>;

struct Request<W: Work> {
    id: u32,
    reply: Option<Reply<W>>,
}

/// Whoever writes this panics.
const BROKEN: u32 = 99;

impl<const BATCH: u64, const LEADERSHIP: u64> Work for Tally<BATCH, LEADERSHIP> {
    type Request = Request<Self>;
    type Written = u32;
    type Tail = Vec<u32>;
    const BATCH_BYTES: u64 = BATCH;
    const LEADERSHIP_BYTES: u64 = LEADERSHIP;

    fn bytes(_: &Request<Self>) -> u64 {
        1
    }

    fn reply(request: &mut Request<Self>) -> &mut Option<Reply<Self>> {
        &mut request.reply
    }

    fn write(
        &self,
        tail: &mut Vec<u32>,
        requests: impl Iterator<Item = Request<Self>>,
        own: &mut Option<u32>,
    ) -> u64 {
        let before = tail.len();
        for request in requests {
            if request.id == BROKEN {
                // A panic that nobody prints.
                resume_unwind(Box::new("it is meant to break"));
            }
            tail.push(request.id);
            match request.reply {
                // It may have gone.
                Some(reply) => drop(reply.send(Outcome::Done(request.id))),
                None => assert_eq!(own.replace(request.id), None, "one request is its own"),
            }
        }
        (tail.len() - before) as u64
    }

    fn leader_panicked(&self) {}
}

/// Hands the role on after each write.
type Restless = Tally<1, 1>;
/// Leads for two writes of two requests.
type Patient = Tally<2, 3>;

type Shared<W> = Arc<Combiner<W>>;

fn combiner<const B: u64, const L: u64>() -> Shared<Tally<B, L>> {
    Arc::new(Combiner::new(Tally, Vec::new()))
}

fn enter<const B: u64, const L: u64>(
    combiner: &Shared<Tally<B, L>>,
    ids: &[u32],
) -> SmallVec<[Entered<Tally<B, L>>; 1]> {
    let request = |id: &u32| Request {
        id: *id,
        reply: None,
    };
    combiner.enter(ids.iter().map(request).collect())
}

/// What a sender does that waits for all its requests.
fn send<const B: u64, const L: u64>(combiner: &Shared<Tally<B, L>>, ids: &[u32]) {
    let entered = enter(combiner, ids).into_iter();
    // All at once, as senders do: the role may come with any of them.
    let finished = block_on(futures::future::join_all(entered.map(finish)));
    let told = finished.into_iter().map(|finished| match finished {
        Some(Finished::Led(id) | Finished::Told(id)) => id,
        None => panic!("a request is never answered"),
    });
    assert_eq!(told.collect::<Vec<_>>(), ids, "everybody hears of its own");
}

/// Nobody leads, nobody waits, and each of these is written once.
#[track_caller]
fn check<const B: u64, const L: u64>(combiner: &Shared<Tally<B, L>>, ids: &[u32]) {
    let queue = combiner.queue.lock();
    assert!(!queue.led, "somebody leads who is not there");
    assert!(queue.requests.is_empty(), "somebody waits for no one");
    drop(queue);
    let mut written = combiner.tail.lock().clone();
    written.sort_unstable();
    assert_eq!(written, ids);
}

fn senders<const B: u64, const L: u64>() {
    explore(|| {
        let combiner = combiner::<B, L>();
        let others = [1, 2].map(|id| {
            let combiner = combiner.clone();
            thread::spawn(move || send(&combiner, &[id]))
        });
        send(&combiner, &[3]);
        for other in others {
            other.join().expect("a sender comes to its end");
        }
        check(&combiner, &[1, 2, 3]);
    });
}

#[test]
fn every_request_is_written_once_when_each_leader_hands_over() {
    senders::<1, 1>();
}

#[test]
fn every_request_is_written_once_when_a_leader_writes_for_all() {
    senders::<2, 3>();
}

#[test]
fn a_sender_of_several_requests_hears_of_each() {
    explore(|| {
        let combiner: Shared<Patient> = combiner();
        let other = {
            let combiner = combiner.clone();
            thread::spawn(move || send(&combiner, &[1, 2, 3]))
        };
        send(&combiner, &[4, 5]);
        other.join().expect("a sender comes to its end");
        check(&combiner, &[1, 2, 3, 4, 5]);
    });
}

#[test]
fn a_role_that_finds_its_sender_gone_goes_on() {
    explore(|| {
        let combiner: Shared<Restless> = combiner();
        let gone = {
            let combiner = combiner.clone();
            thread::spawn(move || drop(enter(&combiner, &[1])))
        };
        let other = {
            let combiner = combiner.clone();
            thread::spawn(move || send(&combiner, &[2]))
        };
        send(&combiner, &[3]);
        gone.join().expect("a sender comes to its end");
        other.join().expect("a sender comes to its end");
        check(&combiner, &[1, 2, 3]);
    });
}

#[test]
fn a_role_goes_on_whose_sender_goes_while_it_waits() {
    explore(|| {
        let combiner: Shared<Restless> = combiner();
        let other = {
            let combiner = combiner.clone();
            thread::spawn(move || send(&combiner, &[1]))
        };
        for entered in enter(&combiner, &[2, 3]) {
            // Asked once and given up, whatever the answer was.
            let _ = finish(entered).now_or_never();
        }
        other.join().expect("a sender comes to its end");
        check(&combiner, &[1, 2, 3]);
    });
}

#[test]
fn nobody_waits_for_a_leader_that_panicked() {
    explore(|| {
        let combiner: Shared<Restless> = combiner();
        let others = [1, BROKEN].map(|id| {
            let combiner = combiner.clone();
            thread::spawn(move || {
                // Written, refused, or the one who breaks: but over.
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    let mut entered = enter(&combiner, &[id]);
                    block_on(finish(entered.pop().expect("it has entered"))).is_some()
                }));
            })
        });
        for other in others {
            other.join().expect("a sender comes to its end");
        }
        assert!(!combiner.is_led());
        assert!(combiner.queue.lock().requests.is_empty());
    });
}

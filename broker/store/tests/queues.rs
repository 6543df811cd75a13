//! The queues of a store beside a model of them: a list of messages each.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "promises/house.rs"]
#[allow(dead_code)]
mod house;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use model::{QueueOffset, Timestamp};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use runtime::{Rng, SimClock, SimDisk};
use store::{Boundary, ReadLimit, Settings};
use tokio::runtime::Runtime;

use crate::house::{House, encode, message, queue};

const QUEUES: u32 = 3;
const BEGIN: i64 = 1_700_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    Append {
        queue: u32,
        count: usize,
    },
    AppendTogether {
        queue: u32,
        count: usize,
    },
    Wait {
        seconds: u64,
    },
    Checkpoint,
    /// From this share of the queue on.
    Read {
        queue: u32,
        share: u8,
        limit: usize,
    },
    /// The messages around this share of the time that has gone by.
    Search {
        share: u8,
    },
    /// What is older than an hour goes, by whole segments.
    Clean,
    Kill,
    Close,
}

/// The model: when each message of each queue was stored.
#[derive(Clone, Debug)]
struct Model {
    now: i64,
    queues: Vec<Vec<i64>>,
}

impl ReferenceStateMachine for Model {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        let queues = vec![Vec::new(); QUEUES as usize];
        Just(Model { now: BEGIN, queues }).boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Step> {
        prop_oneof![
            4 => (0..QUEUES, 1..150usize).prop_map(|(queue, count)| Step::Append { queue, count }),
            1 => (0..QUEUES, 1..9usize)
                .prop_map(|(queue, count)| Step::AppendTogether { queue, count }),
            3 => (1..2_000u64).prop_map(|seconds| Step::Wait { seconds }),
            2 => Just(Step::Checkpoint),
            4 => (0..QUEUES, any::<u8>(), 1..200usize)
                .prop_map(|(queue, share, limit)| Step::Read { queue, share, limit }),
            4 => any::<u8>().prop_map(|share| Step::Search { share }),
            1 => Just(Step::Clean),
            1 => Just(Step::Kill),
            1 => Just(Step::Close),
        ]
        .boxed()
    }

    fn apply(mut model: Model, step: &Step) -> Model {
        match step {
            Step::Append { queue, count } | Step::AppendTogether { queue, count } => {
                let stored = std::iter::repeat_n(model.now, *count);
                model.queues[*queue as usize].extend(stored);
            }
            Step::Wait { seconds } => model.now += *seconds as i64 * 1_000,
            _ => {}
        }
        model
    }
}

struct Real {
    house: House,
    runtime: Rc<Runtime>,
    /// Where each message lies in the log.
    places: BTreeMap<u32, Vec<u64>>,
}

impl Real {
    /// What lies in a segment that is gone is gone, and nothing else.
    fn first(&self, number: u32) -> usize {
        let min = self.house.store.log_bounds().0.0;
        let places = self.places.get(&number);
        places.map_or(0, |places| places.partition_point(|at| *at < min))
    }

    async fn append(&mut self, number: u32, count: usize) {
        for _ in 0..count {
            let appended = self
                .house
                .append(&message("t", number, "one of many"))
                .await;
            self.took(number, &appended);
        }
    }

    async fn append_together(&mut self, number: u32, count: usize) {
        let group = (0..count).map(|_| encode(&message("t", number, "of a group")));
        let appended = self
            .house
            .store
            .append_together(group.collect::<store::Records>())
            .await;
        for appended in appended.expect("it is appended") {
            self.took(number, &appended);
        }
    }

    fn took(&mut self, number: u32, appended: &store::Appended) {
        let places = self.places.entry(number).or_default();
        assert_eq!(appended.queue_offset.0, places.len() as u64);
        places.push(appended.log_offset.0);
    }

    async fn read(&self, number: u32, share: u8, limit: usize) {
        let places = self.places.get(&number).cloned().unwrap_or_default();
        let from = places.len() * usize::from(share) / 255;
        let from = from.max(self.first(number));
        let (store, queue) = (&self.house.store, queue("t", number));
        let offset = QueueOffset(from as u64);
        let entries = store
            .entries(&queue, offset, limit)
            .await
            .expect("they are found");
        let found: Vec<_> = entries.iter().map(|entry| entry.log_offset.0).collect();
        let expected: Vec<_> = places[from..].iter().copied().take(limit).collect();
        assert_eq!(found, expected, "queue {number} from {from} on");
        let bytes = 1 << 20;
        let limits = ReadLimit {
            messages: limit,
            bytes,
        };
        let read = store.read(&queue, offset, limits, &store::Everything).await;
        let read = read.expect("it is read");
        let found: Vec<_> = read
            .entries
            .iter()
            .map(|entry| entry.log_offset.0)
            .collect();
        assert_eq!(
            found,
            expected[..found.len()],
            "queue {number} from {from} on"
        );
        assert_eq!(found.is_empty(), expected.is_empty());
    }

    async fn search(&self, model: &Model, share: u8) {
        let time = BEGIN + (model.now - BEGIN) * i64::from(share) / 255;
        for (number, stored) in (0..).zip(&model.queues) {
            if stored.is_empty() {
                continue;
            }
            let first = self.first(number);
            let from = |time| first + stored[first..].partition_point(|stored| *stored < time);
            let (lower, upper) = (from(time), from(time + 1).saturating_sub(1));
            let (store, queue) = (&self.house.store, queue("t", number));
            for (boundary, expected) in [(Boundary::Lower, lower), (Boundary::Upper, upper)] {
                let found = store.offset_at(&queue, Timestamp(time), boundary);
                let found = found.await.expect("the search is answered").0;
                assert_eq!(found, expected as u64, "{queue}, {boundary:?} of {time}");
            }
        }
    }
}

impl StateMachineTest for Real {
    type SystemUnderTest = Real;
    type Reference = Model;

    fn init_test(_: &Model) -> Real {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime");
        let settings = Settings {
            segment_bytes: 16 << 10,
            hot_bytes: 4 << 10,
            retention_hours: 1,
            refuse_percent: 101,
            clean_percent: 101,
            ..Settings::default()
        };
        let (disk, clock) = (SimDisk::new(Rng::seeded(1)), SimClock::new(BEGIN));
        let opened = runtime.block_on(async { House::open(disk, clock, settings) });
        Real {
            house: opened.expect("an empty store opens"),
            runtime: Rc::new(runtime),
            places: BTreeMap::new(),
        }
    }

    fn apply(mut real: Real, model: &Model, step: Step) -> Real {
        let runtime = real.runtime.clone();
        runtime.block_on(async {
            match step {
                Step::Append { queue, count } => real.append(queue, count).await,
                Step::AppendTogether { queue, count } => real.append_together(queue, count).await,
                Step::Wait { seconds } => real.house.clock.advance(Duration::from_secs(seconds)),
                Step::Checkpoint => real.house.store.checkpoint().await.expect("it is saved"),
                Step::Read {
                    queue,
                    share,
                    limit,
                } => real.read(queue, share, limit).await,
                Step::Search { share } => real.search(model, share).await,
                Step::Clean => real.house.store.clean().await.expect("it is cleaned"),
                Step::Kill => real.house = real.house.killed().await,
                Step::Close => real.house = real.house.reopened().await,
            }
            real
        })
    }

    fn check_invariants(real: &Real, model: &Model) {
        for (number, stored) in (0..).zip(&model.queues) {
            let bounds = real
                .house
                .store
                .bounds(&queue("t", number))
                .unwrap_or_default();
            assert_eq!(bounds.max.0, stored.len() as u64, "end of queue {number}");
            assert_eq!(
                bounds.min.0,
                real.first(number) as u64,
                "beginning of queue {number}"
            );
        }
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn queues_hold_what_was_appended_through_every_end(sequential 1..60 => Real);
}

//! Who is told of a record, and when: `visible` against a list of what is written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use model::{QueueId, QueueOffset, Topic};
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use runtime::{Rng, SimDisk};
use smallvec::smallvec;

use crate::dispatch::KeyHashes;
use crate::key_index::KeyIndex;
use crate::publisher::{Publisher, StagedRecord};
use crate::queue_index::{Arrival, Heads, IndexLog, QueueIndex, Unit};
use crate::watermark::Watermark;
use crate::{Arrivals, Flush};

#[derive(Clone, Debug)]
enum Step {
    /// Records of a group, by queue; they may be seen together or not at all.
    Append(Vec<u32>),
    /// The log is durable up to this share of it.
    Flush(u8),
    /// Replicas have confirmed this share of the log.
    Confirm(u8),
    /// Whoever has written or flushed looks what may be seen now.
    Advance,
}

const RECORD: u64 = 100;

/// The model: what is written, how far each promise reaches, and what has been seen.
#[derive(Clone, Debug)]
struct Model {
    sync: bool,
    /// The queue of each record, and where its group ends.
    records: Vec<(u32, u64)>,
    durable: u64,
    confirmed: u64,
    seen: usize,
}

impl Model {
    fn end(&self) -> u64 {
        self.records.len() as u64 * RECORD
    }

    fn share(&self, share: u8) -> u64 {
        self.end() * u64::from(share) / 255
    }

    fn advance(&mut self) {
        let durable = if self.sync { self.durable } else { u64::MAX };
        let bound = durable.min(self.confirmed);
        while self
            .records
            .get(self.seen)
            .is_some_and(|(_, end)| *end <= bound)
        {
            self.seen += 1;
        }
    }

    /// How many records of each queue may be read.
    fn ends(&self) -> BTreeMap<u32, u64> {
        let mut ends = BTreeMap::new();
        for (queue, _) in &self.records[..self.seen] {
            *ends.entry(*queue).or_default() += 1;
        }
        ends
    }
}

impl ReferenceStateMachine for Model {
    type State = Model;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Model> {
        let model = |sync| Model {
            sync,
            records: Vec::new(),
            durable: 0,
            confirmed: u64::MAX,
            seen: 0,
        };
        any::<bool>().prop_map(model).boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Step> {
        prop_oneof![
            prop::collection::vec(0..3u32, 1..4).prop_map(Step::Append),
            any::<u8>().prop_map(Step::Flush),
            any::<u8>().prop_map(Step::Confirm),
            Just(Step::Advance),
        ]
        .boxed()
    }

    fn apply(mut model: Model, step: &Step) -> Model {
        match step {
            Step::Append(queues) => {
                let end = model.end() + queues.len() as u64 * RECORD;
                model
                    .records
                    .extend(queues.iter().map(|queue| (*queue, end)));
            }
            Step::Flush(share) => model.durable = model.durable.max(model.share(*share)),
            Step::Confirm(share) => model.confirmed = model.share(*share),
            Step::Advance => model.advance(),
        }
        model
    }
}

/// The real one, and what readers have been told.
struct Real {
    publisher: Arc<Publisher>,
    index: Arc<QueueIndex>,
    told: Arc<Mutex<BTreeMap<u32, u64>>>,
    taken: BTreeMap<u32, u64>,
}

/// Looks at once, as a reader that is woken does.
struct Reader {
    publisher: std::sync::Weak<Publisher>,
    index: Arc<QueueIndex>,
    told: Arc<Mutex<BTreeMap<u32, u64>>>,
}

impl Arrivals for Reader {
    fn arrived(&self, queue: &QueueId, end: QueueOffset, _: i64) {
        let publisher = self.publisher.upgrade().expect("it is telling this");
        let head = self.index.get(queue).expect("the queue that grew");
        let newest = head.with(|state| state.tail.entries().last());
        let newest = newest.expect("a woken reader finds what it was woken for");
        assert!(head.with(|state| state.end) >= end.0);
        assert!(
            newest.log_end().0 <= publisher.mark.visible(),
            "woken before it may be seen"
        );
        self.told.lock().insert(queue.number, end.0);
    }
}

fn queue(number: u32) -> QueueId {
    QueueId::new(Topic::parse("t").expect("a topic"), number)
}

impl StateMachineTest for Real {
    type SystemUnderTest = Real;
    type Reference = Model;

    fn init_test(model: &Model) -> Real {
        let disk = SimDisk::new(Rng::seeded(1)).mount();
        let keys = Arc::new(KeyIndex::new(disk.clone(), PathBuf::from("/keys"), 0));
        let log = IndexLog::open(disk, PathBuf::from("/queues"), 0).expect("an empty index");
        let index = Arc::new(QueueIndex::new(log, Heads::default()));
        let flush = if model.sync {
            Flush::Sync
        } else {
            Flush::Async
        };
        let mark = Watermark::new(flush, 0, 0);
        let publisher = Arc::new(Publisher::new(mark, index.clone(), keys));
        let told = Arc::<Mutex<BTreeMap<_, _>>>::default();
        publisher.tell(Box::new(Reader {
            publisher: Arc::downgrade(&publisher),
            index: index.clone(),
            told: told.clone(),
        }));
        Real {
            publisher,
            index,
            told,
            taken: BTreeMap::new(),
        }
    }

    fn apply(mut real: Real, model: &Model, step: Step) -> Real {
        let mark = &real.publisher.mark;
        match step {
            Step::Append(queues) => {
                let end = model.end();
                let start = end - queues.len() as u64 * RECORD;
                let records = queues.iter().zip(0..).map(|(number, place)| {
                    let at = start + place * RECORD;
                    let taken = real.taken.entry(*number).or_default();
                    *taken += 1;
                    staged(&real.index, *number, *taken - 1, at, end)
                });
                real.publisher.stage(records.collect());
                mark.set_appended(end, 0);
            }
            Step::Flush(_) => mark.set_durable(model.durable),
            Step::Confirm(_) => mark.set_confirmed(model.confirmed),
            Step::Advance => real.publisher.advance(),
        }
        real
    }

    fn check_invariants(real: &Real, model: &Model) {
        assert_eq!(
            *real.told.lock(),
            model.ends(),
            "told of what may be seen, and no more"
        );
        let seen = model.records[..model.seen]
            .last()
            .map_or(0, |(_, end)| *end);
        assert_eq!(real.publisher.mark.visible(), seen);
    }
}

fn staged(index: &QueueIndex, number: u32, offset: u64, at: u64, end: u64) -> StagedRecord {
    let unit = Unit {
        log_offset: at,
        tags_code: 0,
        size: RECORD as u32,
        count: 1,
    };
    let arrival = Arrival {
        queue_offset: offset,
        unit,
        stored: 0,
    };
    StagedRecord {
        end,
        entries: smallvec![(index.get_or_insert(&queue(number)), arrival)],
        keys: KeyHashes::new(),
        at,
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn readers_are_told_of_a_record_exactly_when_every_promise_covers_it(sequential 1..40 => Real);
}

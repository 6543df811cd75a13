//! State behaves as a plain map that forgets uncommitted epochs, whatever the cache, the store
//! and the crashes.

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use dataflow::{NodeKind, OperatorId};
use proptest::prelude::*;
use state::{
    Commit, Direction, Durability, Epoch, FjallSettings, FjallStore, KeyRange, MemoryDisk,
    MemoryStore, Progress, Settings, State, Store, TableId,
};
use std::{collections::BTreeMap, sync::Arc};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    Get(Vec<Vec<u8>>),
    Scan(Vec<u8>),
    Last(Vec<u8>),
    TakeBelow(Vec<u8>),
    Commit { synced: bool },
    RollBack,
    Reopen,
    Crash { survivors: usize },
    Torn { survives: bool },
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xff)], 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (key(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(key, row)| Step::Put(key, row)),
        3 => key().prop_map(Step::Delete),
        3 => prop::collection::vec(key(), 0..6).prop_map(Step::Get),
        2 => key().prop_map(Step::Scan),
        1 => key().prop_map(Step::Last),
        1 => key().prop_map(Step::TakeBelow),
        3 => any::<bool>().prop_map(|synced| Step::Commit { synced }),
        1 => Just(Step::RollBack),
        1 => Just(Step::Reopen),
        1 => (0usize..4).prop_map(|survivors| Step::Crash { survivors }),
        1 => any::<bool>().prop_map(|survives| Step::Torn { survives }),
    ]
}

/// Small enough that rows are evicted and tables do not fit.
const TIGHT: Settings = Settings {
    cache_bytes: 300,
    warm_bytes: 200,
};
const ROOMY: Settings = Settings {
    cache_bytes: 1 << 20,
    warm_bytes: 1 << 20,
};

fn operator() -> OperatorId {
    OperatorId::of(&NodeKind::Union, &[], &Schema::empty())
}

fn columns() -> [Field; 1] {
    [Field::new("bytes", DataType::Binary, true)]
}

struct Run {
    state: State,
    table: TableId,
    progress: Progress,
    /// What operators must see, what is committed, and the committed contents a crash may return to.
    live: Model,
    committed: Vec<Model>,
    synced: usize,
}

impl Run {
    fn open(store: Arc<dyn Store>, settings: Settings, committed: Vec<Model>) -> Self {
        let opened = State::open(store, settings).expect("the state opens");
        let mut state = opened.state;
        let table = state
            .table(&operator(), 3, &columns(), &columns())
            .expect("the table opens");
        let live = committed.last().cloned().unwrap_or_default();
        let synced = committed.len();
        Self {
            state,
            table,
            progress: opened.progress,
            live,
            committed,
            synced,
        }
    }

    fn commit(&mut self, durability: Durability) -> Result<(), state::Error> {
        let mut progress = self.progress.clone();
        progress.epoch.0 += 1;
        let outbox = Bytes::from(progress.epoch.0.to_string());
        self.state.acknowledge(self.progress.epoch);
        self.state.commit(
            Commit {
                progress: progress.clone(),
                outbox,
            },
            durability,
        )?;
        self.progress = progress;
        self.committed.push(self.live.clone());
        if durability == Durability::Synced {
            self.synced = self.committed.len();
        }
        Ok(())
    }

    fn apply(&mut self, step: &Step) {
        let table = self.table;
        let pair = |(key, row): (&Vec<u8>, &Vec<u8>)| {
            (Bytes::copy_from_slice(key), Bytes::copy_from_slice(row))
        };
        match step {
            Step::Put(key, row) => {
                self.state.put(table, key, row);
                self.live.insert(key.clone(), row.clone());
            }
            Step::Delete(key) => {
                self.state.delete(table, key);
                self.live.remove(key);
            }
            Step::Get(keys) => {
                let found = self
                    .state
                    .get_many(table, keys.iter().map(Vec::as_slice))
                    .expect("a read");
                let expected: Vec<Option<Bytes>> = keys
                    .iter()
                    .map(|key| self.live.get(key).map(|row| Bytes::copy_from_slice(row)))
                    .collect();
                assert_eq!(found, expected);
            }
            Step::Scan(prefix) => {
                let found = self.state.scan_prefix(table, prefix).expect("a scan");
                let expected: Vec<_> = self
                    .live
                    .iter()
                    .filter(|(key, _)| key.starts_with(prefix))
                    .map(pair)
                    .collect();
                assert_eq!(found, expected);
            }
            Step::Last(prefix) => {
                let range = KeyRange::prefix(prefix);
                let found = self
                    .state
                    .first(table, &range, Direction::Descending)
                    .expect("a scan");
                assert_eq!(
                    found,
                    self.live
                        .iter()
                        .filter(|(key, _)| key.starts_with(prefix))
                        .map(pair)
                        .next_back()
                );
            }
            Step::TakeBelow(until) => {
                let range = KeyRange {
                    from: Vec::new(),
                    until: Some(until.clone()),
                };
                let taken = self.state.take(table, &range).expect("a scan");
                let expected: Vec<_> = self
                    .live
                    .iter()
                    .filter(|(key, _)| *key < until)
                    .map(pair)
                    .collect();
                assert_eq!(taken, expected);
                self.live.retain(|key, _| key >= until);
            }
            Step::Commit { synced } => {
                let durability = if *synced {
                    Durability::Synced
                } else {
                    Durability::Buffered
                };
                self.commit(durability).expect("the commit succeeds");
            }
            Step::RollBack => {
                self.state.roll_back().expect("the store answers");
                self.live = self.committed.last().cloned().unwrap_or_default();
            }
            Step::Reopen | Step::Crash { .. } | Step::Torn { .. } => {
                unreachable!("the runner opens states")
            }
        }
    }

    fn check_outbox(store: Arc<dyn Store>) {
        let opened = State::open(store, ROOMY).expect("the state opens");
        let Epoch(epoch) = opened.progress.epoch;
        let expected = (epoch > 0).then(|| (Epoch(epoch), Bytes::from(epoch.to_string())));
        assert_eq!(
            opened.outbox,
            Vec::from_iter(expected),
            "each commit deletes the outbox before it"
        );
    }
}

fn run_in_memory(steps: &[Step], settings: Settings) {
    let disk = MemoryDisk::new();
    let open =
        |committed: Vec<Model>| Run::open(Arc::new(MemoryStore::open(&disk)), settings, committed);
    let mut run = open(Vec::new());
    for step in steps {
        match step {
            Step::Reopen => run = open(run.committed),
            Step::Crash { survivors } => {
                let survivors = (*survivors).min(run.committed.len() - run.synced);
                // Opening a table of a new job writes its layout before any epoch.
                let layouts = disk.unsynced() - (run.committed.len() - run.synced);
                disk.crash(layouts + survivors);
                run.committed.truncate(run.synced + survivors);
                Run::check_outbox(Arc::new(MemoryStore::open(&disk)));
                run = open(run.committed);
            }
            Step::Torn { survives } => {
                disk.tear_next_commit(*survives);
                let live = run.live.clone();
                run.commit(Durability::Synced)
                    .expect_err("the commit is torn");
                run.state
                    .sync()
                    .expect_err("a state with a torn commit is closed");
                if *survives {
                    run.committed.push(live);
                }
                run = open(run.committed);
            }
            step => run.apply(step),
        }
    }
    run.apply(&Step::Scan(Vec::new()));
}

fn run_on_disk(steps: &[Step]) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = || {
        FjallStore::open(directory.path(), FjallSettings::default()).expect("the directory opens")
    };
    let mut run = Run::open(Arc::new(store()), TIGHT, Vec::new());
    for step in steps {
        match step {
            Step::Reopen | Step::Crash { .. } | Step::Torn { .. } => {
                let committed = std::mem::take(&mut run.committed);
                drop(run);
                Run::check_outbox(Arc::new(store()));
                run = Run::open(Arc::new(store()), TIGHT, committed);
            }
            step => run.apply(step),
        }
    }
    run.apply(&Step::Scan(Vec::new()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn state_in_memory_is_the_map_of_its_committed_epochs(steps in prop::collection::vec(step(), 0..60)) {
        run_in_memory(&steps, ROOMY);
        run_in_memory(&steps, TIGHT);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn state_on_disk_is_the_map_of_its_committed_epochs(steps in prop::collection::vec(step(), 0..60)) {
        run_on_disk(&steps);
    }
}

#[test]
fn a_table_cannot_be_reopened_with_other_columns() {
    let disk = MemoryDisk::new();
    let text = [Field::new("city", DataType::Utf8, true)];
    let number = [Field::new("city", DataType::Int64, true)];
    let open = || {
        State::open(Arc::new(MemoryStore::open(&disk)), ROOMY)
            .expect("the state opens")
            .state
    };
    open()
        .table(&operator(), 0, &text, &text)
        .expect("a new table");
    open()
        .table(&operator(), 0, &text, &text)
        .expect("the same table");
    let refused = open()
        .table(&operator(), 0, &number, &text)
        .expect_err("another table")
        .to_string();
    assert!(
        refused.contains("city Utf8") && refused.contains("city Int64"),
        "{refused}"
    );
}

#[test]
fn two_operators_cannot_share_a_table() {
    let disk = MemoryDisk::new();
    let mut state = State::open(Arc::new(MemoryStore::open(&disk)), ROOMY)
        .expect("the state opens")
        .state;
    state
        .table(&operator(), 0, &columns(), &columns())
        .expect("the first");
    assert!(matches!(
        state.table(&operator(), 0, &columns(), &columns()),
        Err(state::Error::Shared { .. })
    ));
}

#[test]
fn an_epoch_cannot_be_committed_twice() {
    let disk = MemoryDisk::new();
    let mut run = Run::open(Arc::new(MemoryStore::open(&disk)), ROOMY, Vec::new());
    run.commit(Durability::Synced).expect("the first epoch");
    let again = Commit {
        progress: run.progress.clone(),
        outbox: Bytes::new(),
    };
    assert!(matches!(
        run.state.commit(again, Durability::Synced),
        Err(state::Error::EpochOrder {
            committed: 1,
            asked: 1
        })
    ));
}

#[test]
fn a_row_made_and_deleted_in_one_epoch_never_reaches_the_store() {
    let disk = MemoryDisk::new();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::open(&disk));
    let mut run = Run::open(Arc::clone(&store), ROOMY, Vec::new());
    run.apply(&Step::Put(vec![1], vec![1]));
    run.apply(&Step::Delete(vec![1]));
    run.commit(Durability::Synced).expect("the commit succeeds");
    let mut rows = 0;
    let count = &mut |_: &[u8], _: &[u8]| {
        rows += 1;
        std::ops::ControlFlow::Continue(())
    };
    store
        .scan(
            state::Space::Rows,
            &KeyRange::all(),
            Direction::Ascending,
            count,
        )
        .expect("a scan");
    assert_eq!((rows, run.state.stats().cached_bytes), (0, 0));
}

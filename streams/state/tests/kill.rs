//! A process killed while it commits leaves a state that is whole: some epoch, all of it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use dataflow::{NodeKind, OperatorId};
use state::{
    Commit, Durability, Epoch, FjallSettings, FjallStore, Progress, Settings, State, TableId,
};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

const DIRECTORY: &str = "STATE_KILL_TEST_DIRECTORY";
const KEYS: u8 = 40;

fn open(directory: &Path) -> (State, TableId, Progress, Vec<(Epoch, Bytes)>) {
    let store = FjallStore::open(directory, FjallSettings::default()).expect("the directory opens");
    let opened = State::open(
        Arc::new(store),
        Settings {
            cache_bytes: 1000,
            warm_bytes: 500,
        },
    )
    .expect("it opens");
    let mut state = opened.state;
    let operator = OperatorId::of(&NodeKind::Union, &[], &Schema::empty());
    let columns = [Field::new("bytes", DataType::Binary, true)];
    let table = state
        .table(&operator, 0, &columns, &columns)
        .expect("the table opens");
    (state, table, opened.progress, opened.outbox)
}

/// Runs in a child process: every epoch writes its number to all keys, and says so once committed.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let (mut state, table, mut progress, _) = open(Path::new(&directory));
    loop {
        progress.epoch.0 += 1;
        let number = progress.epoch.0.to_be_bytes();
        for key in 0..KEYS {
            state.put(table, &[key], &number);
        }
        state.acknowledge(Epoch(progress.epoch.0 - 1));
        let outbox = Bytes::copy_from_slice(&number);
        let durability = if progress.epoch.0 % 3 == 0 {
            Durability::Synced
        } else {
            Durability::Buffered
        };
        state
            .commit(
                Commit {
                    progress: progress.clone(),
                    outbox,
                },
                durability,
            )
            .expect("the commit succeeds");
        println!("committed {}", progress.epoch.0);
    }
}

#[test]
fn a_killed_process_loses_no_committed_epoch_and_tears_none() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut committed = 0;
    for run in 0..8 {
        let mut child = Command::new(std::env::current_exe().expect("this test's own file"))
            .args([
                "--exact",
                "child_that_commits_until_it_is_killed",
                "--nocapture",
            ])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the child starts");
        let output = BufReader::new(child.stdout.take().expect("a piped stdout"));
        let epochs = output.lines().map_while(Result::ok).filter_map(|line| {
            line.rsplit_once("committed ")
                .and_then(|(_, epoch)| epoch.parse::<u64>().ok())
        });
        let mut epochs = epochs.inspect(|epoch| committed = *epoch);
        assert!(
            epochs.nth(5 + run * 37).is_some(),
            "the child commits until it is killed"
        );
        child.kill().expect("the child dies");
        epochs.by_ref().for_each(drop);
        child.wait().expect("the child is gone");

        let (mut state, table, progress, outbox) = open(directory.path());
        let Epoch(epoch) = progress.epoch;
        assert!(
            epoch >= committed,
            "epoch {committed} was committed, {epoch} is left"
        );
        let number = Bytes::copy_from_slice(&epoch.to_be_bytes());
        let keys: Vec<[u8; 1]> = (0..KEYS).map(|key| [key]).collect();
        let rows = state
            .get_many(table, keys.iter().map(|key| &key[..]))
            .expect("a read");
        assert_eq!(rows, vec![Some(number.clone()); KEYS as usize]);
        assert_eq!(outbox, [(Epoch(epoch), number)]);
    }
}

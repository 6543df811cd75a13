//! Files being written: what they hold, and that a crash at any step leaves each record once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use connect_sdk::conformance::sink_names_what_it_was_given;
use connect_sdk::{
    Connector, Context, Error, Options, RawRecord, Records, Sink, SinkBatch, TaskOptions,
    parse_columns,
};
use connector_file::FileSink;
use format::{Decoder, Format};
use runtime::{Clock, Disk, Net, Rng, SimDisk, Tasks};

fn context(disk: Arc<dyn Disk>) -> Context {
    Context {
        connector: "out".into(),
        task: 0,
        generation: 1,
        disk,
        clock: Clock::real(),
        net: Net::in_memory(),
        rng: Rng::seeded(1),
        tasks: Tasks::new(Clock::real()),
    }
}

async fn open(disk: Arc<dyn Disk>, pairs: &[(&str, &str)]) -> Result<Box<dyn Sink>, Error> {
    let mut given: BTreeMap<String, String> = pairs
        .iter()
        .map(|(k, v)| ((*k).into(), (*v).into()))
        .collect();
    given.insert("path".into(), "/out".into());
    let (options, findings) = Options::check(FileSink.describe().options, &given);
    assert_eq!(findings, vec![]);
    FileSink
        .sink(
            TaskOptions {
                options,
                part: String::new(),
            },
            context(disk),
        )
        .await
}

fn body(queue: u32, offset: u64) -> String {
    format!("{{\"queue\":{queue},\"offset\":{offset}}}")
}

fn batch(queue: u32, first: u64, next: u64) -> SinkBatch {
    let records = (first..next)
        .map(|offset| RawRecord::new(body(queue, offset)))
        .collect();
    SinkBatch {
        topic: "t".into(),
        queue,
        records: Records::Bytes(records),
        offsets: (first..next).collect(),
        first,
        next,
    }
}

/// The finished files, by name.
fn files(disk: &dyn Disk) -> Vec<(String, String)> {
    let entries = disk
        .list(Path::new("/out"))
        .expect("the directory is there");
    let finished = entries
        .into_iter()
        .filter(|entry| !entry.name.starts_with('.'));
    finished
        .map(|entry| {
            let bytes = disk
                .read(&Path::new("/out").join(&entry.name))
                .expect("a finished file can be read");
            (
                entry.name,
                String::from_utf8(bytes).expect("what was written is text"),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_flush_leaves_one_file_per_queue_named_after_its_range() {
    let disk = SimDisk::new(Rng::seeded(1)).mount();
    let mut sink = open(disk.clone(), &[]).await.expect("it opens");
    sink_names_what_it_was_given(
        sink.as_mut(),
        vec![batch(0, 0, 2), batch(1, 7, 8), batch(0, 2, 3)],
    )
    .await;
    assert_eq!(
        files(disk.as_ref()),
        [
            (
                "t-0-00000000000000000000-00000000000000000003.jsonl".to_owned(),
                format!("{}\n{}\n{}\n", body(0, 0), body(0, 1), body(0, 2))
            ),
            (
                "t-1-00000000000000000007-00000000000000000008.jsonl".to_owned(),
                format!("{}\n", body(1, 7))
            ),
        ]
    );
}

#[tokio::test]
async fn a_csv_part_starts_with_its_header() {
    let disk = SimDisk::new(Rng::seeded(1)).mount();
    let mut sink = open(disk.clone(), &[("file.format", "csv")])
        .await
        .expect("it opens");
    let schema = parse_columns("queue INT, offset BIGINT").expect("columns");
    let mut decoder =
        Decoder::new(Format::Json, schema, format::Options::default()).expect("plain types");
    for first in [0, 1] {
        let rows = decoder.decode(&[body(0, first).into()]).0;
        let written = SinkBatch {
            records: Records::Columns(rows),
            ..batch(0, first, first + 1)
        };
        sink.write(written).await.expect("it is taken");
    }
    sink.flush().await.expect("it flushes");
    assert_eq!(files(disk.as_ref())[0].1, "queue,offset\n0,0\n0,1\n");
}

#[tokio::test]
async fn a_body_that_is_no_json_comes_back_alone_and_line_ends_inside_go() {
    let disk = SimDisk::new(Rng::seeded(1)).mount();
    let mut sink = open(disk.clone(), &[]).await.expect("it opens");
    let records = ["{\n\"a\": 1\r\n}", "no json", "{}"]
        .map(RawRecord::new)
        .to_vec();
    let refused = sink
        .write(SinkBatch {
            records: Records::Bytes(records),
            ..batch(0, 0, 3)
        })
        .await
        .expect("it is taken");
    assert_eq!(
        refused
            .iter()
            .map(|refused| refused.row)
            .collect::<Vec<_>>(),
        [1]
    );
    sink.flush().await.expect("it flushes");
    assert_eq!(files(disk.as_ref())[0].1, "{ \"a\": 1  }\n{}\n");
}

#[tokio::test]
async fn a_second_writer_of_the_same_task_is_kept_out() {
    let disk = SimDisk::new(Rng::seeded(1)).mount();
    let first = open(disk.clone(), &[]).await.expect("it opens");
    let second = open(disk.clone(), &[]).await.err();
    assert!(matches!(second, Some(Error::Fenced { .. })), "{second:?}");
    drop(first);
    open(disk, &[]).await.expect("the first has gone");
}

#[tokio::test]
async fn overlapping_files_stop_the_sink_with_the_name() {
    let disk = SimDisk::new(Rng::seeded(1)).mount();
    let mut sink = open(disk.clone(), &[]).await.expect("it opens");
    for range in [batch(0, 0, 5), batch(0, 4, 6)] {
        sink.write(range).await.expect("it is taken");
        sink.flush().await.expect("it flushes");
    }
    let error = sink.position().await.expect_err("they overlap");
    assert!(
        error
            .to_string()
            .contains("t-0-00000000000000000004-00000000000000000006.jsonl"),
        "{error}"
    );
}

const QUEUES: u32 = 2;
const RECORDS: u64 = 20;

/// Delivers everything from where the sink says, in batches and flushes drawn from the seed.
async fn deliver(disk: Arc<dyn Disk>, rng: &Rng) -> Result<(), Error> {
    let mut sink = open(disk, &[]).await?;
    let kept = sink.position().await?.expect("this sink keeps positions");
    let mut next: Vec<u64> = (0..QUEUES)
        .map(|queue| kept.queue("t", queue).unwrap_or(0))
        .collect();
    while next.iter().any(|next| *next < RECORDS) {
        let queue = rng.range(0..u64::from(QUEUES)) as u32;
        let first = next[queue as usize];
        if first < RECORDS {
            let end = (first + rng.range(1..6)).min(RECORDS);
            sink.write(batch(queue, first, end)).await?;
            next[queue as usize] = end;
        }
        if rng.chance(0.3) {
            sink.flush().await?;
        }
    }
    sink.flush().await.map(drop)
}

#[tokio::test]
async fn a_power_cut_at_every_step_leaves_each_record_exactly_once() {
    for seed in 0..10 {
        for step in 0.. {
            let rng = Rng::seeded(seed).split(&step.to_string());
            let disk = SimDisk::new(rng.split("disk"));
            let mut delivered = false;
            disk.power_fails_after(step);
            let first = deliver(disk.mount(), &rng).await;
            let cut = !disk.has_power();
            for _ in 0..5 {
                disk.crash();
                // Later lives are cut too, each at a step of its own.
                disk.power_fails_after(rng.range(5..80));
                delivered |= deliver(disk.mount(), &rng).await.is_ok();
            }
            disk.crash();
            disk.power_fails_after(u64::MAX);
            deliver(disk.mount(), &rng)
                .await
                .expect("nothing fails any more");
            assert!(
                first.is_ok() || cut,
                "only the cut makes a delivery fail: {first:?}"
            );
            let mut lines: Vec<String> = files(disk.mount().as_ref())
                .iter()
                .flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>())
                .collect();
            lines.sort();
            let mut expected: Vec<String> = (0..QUEUES)
                .flat_map(|queue| (0..RECORDS).map(move |offset| body(queue, offset)))
                .collect();
            expected.sort();
            assert_eq!(
                lines, expected,
                "seed {seed}, cut at step {step}, delivered early: {delivered}"
            );
            if first.is_ok() {
                break;
            }
        }
    }
}

#[tokio::test]
async fn what_a_flush_has_named_survives_any_crash() {
    for seed in 0..50 {
        let rng = Rng::seeded(seed);
        let disk = SimDisk::new(rng.split("disk"));
        let mut sink = open(disk.mount(), &[]).await.expect("it opens");
        sink.write(batch(0, 0, 3)).await.expect("it is taken");
        let named = sink.flush().await.expect("it flushes");
        sink.write(batch(0, 3, 9)).await.expect("it is taken");
        disk.crash();
        let mut sink = open(disk.mount(), &[]).await.expect("it opens again");
        assert_eq!(
            sink.position().await.expect("the directory is read"),
            Some(named)
        );
    }
}

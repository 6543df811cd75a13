//! Records through the runtime: from files and generators to the broker and out again, what
//! becomes of bad ones, and what an order to pause, stop or change does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use connect_runtime::{State, Target};
use connect_sdk::{
    Connector, Context, Description, Error, Guarantee, Kind, Positions, Refused, Sink, SinkBatch,
    TaskOptions,
};
use serde_json::json;

use crate::broker_in_memory::MemoryBroker;
use crate::files::{lines, sim_disk, write};
use crate::process::{Process, flat, until};

const CSV: &str = "id,name\n1,one\n2,two\n3,three\n";

fn source(path: &str) -> Vec<(&str, &str)> {
    vec![
        ("connector.class", "file"),
        ("type", "source"),
        ("path", path),
        ("mode", "bounded"),
        ("topic", "numbers"),
        ("schema", "id INT, name STRING"),
    ]
}

#[tokio::test]
async fn a_file_becomes_json_messages_dealt_out_over_the_queues() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    write(disk.mount().as_ref(), "/in/f.csv", CSV);
    let process = Process::start(&broker, disk.mount()).await;
    process.put("in", &source("/in/f.csv")).await;
    process.worker.finished("in").await;
    let mut bodies = broker.bodies("numbers");
    bodies.sort();
    assert_eq!(
        bodies,
        [
            r#"{"id":1,"name":"one"}"#,
            r#"{"id":2,"name":"two"}"#,
            r#"{"id":3,"name":"three"}"#
        ]
    );
    let queues: std::collections::BTreeSet<u32> = broker
        .messages("numbers")
        .iter()
        .map(|message| message.queue)
        .collect();
    assert_eq!(queues.len(), 3);
    let status = process.worker.status("in").expect("it is there");
    assert_eq!(
        (status.state, status.tasks[0].state, status.tasks[0].records),
        (State::Running, State::Running, 3)
    );
    let offsets = serde_json::to_value(
        process
            .worker
            .offsets("in")
            .await
            .expect("the broker answers"),
    )
    .expect("JSON");
    assert_eq!(offsets[0]["partition"], json!({"filename": "/in/f.csv"}));
    assert_eq!(offsets[0]["offset"]["position"], json!(CSV.len()));
    process.stop().await;
}

#[tokio::test]
async fn records_of_one_key_go_to_one_queue_and_carry_it() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    let rows: String = (0..40).map(|n| format!("{n},k{}\n", n % 4)).collect();
    write(
        disk.mount().as_ref(),
        "/in/f.csv",
        &format!("id,name\n{rows}"),
    );
    let process = Process::start(&broker, disk.mount()).await;
    let mut config = source("/in/f.csv");
    config.push(("key", "name"));
    process.put("in", &config).await;
    process.worker.finished("in").await;
    let messages = broker.messages("numbers");
    for key in ["k0", "k1", "k2", "k3"] {
        let of_key: Vec<_> = messages
            .iter()
            .filter(|message| message.properties.get("KEYS") == Some(key))
            .collect();
        assert_eq!(of_key.len(), 10);
        assert!(
            of_key
                .iter()
                .all(|message| message.queue == of_key[0].queue)
        );
    }
    process.stop().await;
}

#[tokio::test]
async fn messages_become_files_and_the_group_is_committed_behind_them() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    broker.fill("numbers", 3, (0..100).map(|n| format!("{{\"n\":{n}}}")));
    let process = Process::start(&broker, disk.mount()).await;
    process
        .put(
            "out",
            &[
                ("connector.class", "file-sink"),
                ("topics", "numbers"),
                ("path", "/out"),
                ("tasks-max", "2"),
                ("flush.interval", "5ms"),
            ],
        )
        .await;
    until("all lines are written", || {
        lines(disk.mount().as_ref(), "/out").len() == 100
    })
    .await;
    process
        .worker
        .wait_for("out", |status| {
            status.tasks.iter().map(|task| task.records).sum::<u64>() == 100
        })
        .await;
    let offsets = serde_json::to_value(
        process
            .worker
            .offsets("out")
            .await
            .expect("the broker answers"),
    )
    .expect("JSON");
    assert_eq!(
        offsets,
        json!([
            {"partition": {"kafka_topic": "numbers", "kafka_partition": 0}, "offset": {"kafka_offset": 34}},
            {"partition": {"kafka_topic": "numbers", "kafka_partition": 1}, "offset": {"kafka_offset": 33}},
            {"partition": {"kafka_topic": "numbers", "kafka_partition": 2}, "offset": {"kafka_offset": 33}},
        ])
    );
    process.stop().await;
}

#[tokio::test]
async fn a_bad_row_stops_the_task_unless_somebody_said_what_to_do_with_it() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    write(
        disk.mount().as_ref(),
        "/in/f.csv",
        "id,name\n1,one\nx,two\n3,three\n",
    );
    let process = Process::start(&broker, disk.mount()).await;
    process.put("in", &source("/in/f.csv")).await;
    process.worker.finished("in").await;
    let task = process.worker.status("in").expect("it is there").tasks[0].clone();
    assert_eq!(task.state, State::Failed);
    assert_eq!(
        task.trace.as_deref(),
        Some("/in/f.csv line 3: field \"id\": \"x\" is not an INT")
    );
    assert_eq!(broker.bodies("numbers"), Vec::<String>::new());

    let mut config = source("/in/f.csv");
    config.push(("errors.deadletterqueue.topic.name", "letters"));
    process.put("in", &config).await;
    process.worker.finished("in").await;
    assert_eq!(broker.bodies("numbers").len(), 2);
    let letters = broker.messages("letters");
    assert_eq!(letters[0].body, "x,two");
    let said = |name: &str| {
        letters[0]
            .properties
            .get(&format!("__connect.errors.{name}"))
            .map(str::to_owned)
    };
    assert_eq!(said("connector.name").as_deref(), Some("in"));
    assert_eq!(said("place").as_deref(), Some("/in/f.csv line 3"));
    assert_eq!(
        said("exception.message").as_deref(),
        Some("field \"id\": \"x\" is not an INT")
    );
    process.stop().await;
}

#[tokio::test]
async fn what_a_sink_cannot_read_goes_to_the_dead_letters_with_its_bytes() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    broker.fill(
        "numbers",
        1,
        ["{\"n\":1}", "no json", "{\"n\":\"x\"}", "{\"n\":4}"].map(str::to_owned),
    );
    let process = Process::start(&broker, disk.mount()).await;
    process
        .put(
            "out",
            &[
                ("connector.class", "file-sink"),
                ("topics", "numbers"),
                ("path", "/out"),
                ("schema", "n INT"),
                ("flush.interval", "5ms"),
                ("errors.deadletterqueue.topic.name", "letters"),
            ],
        )
        .await;
    process
        .worker
        .wait_for("out", |status| {
            status.tasks.first().is_some_and(|task| task.records == 2)
        })
        .await;
    assert_eq!(
        lines(disk.mount().as_ref(), "/out"),
        ["{\"n\":1}", "{\"n\":4}"]
    );
    assert_eq!(broker.bodies("letters"), ["no json", "{\"n\":\"x\"}"]);
    let letter = &broker.messages("letters")[0];
    assert_eq!(letter.properties.get("__connect.errors.offset"), Some("1"));
    assert_eq!(
        letter.properties.get("__connect.errors.stage"),
        Some("VALUE_CONVERTER")
    );
    assert_eq!(
        process.worker.status("out").expect("it is there").tasks[0].failed_records,
        2
    );
    process.stop().await;
}

#[tokio::test]
async fn a_paused_connector_moves_nothing_and_a_resumed_one_goes_on() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    broker.fill("numbers", 1, (0..10).map(|n| n.to_string()));
    let process = Process::start(&broker, disk.mount()).await;
    process
        .put(
            "out",
            &[
                ("connector.class", "file-sink"),
                ("topics", "numbers"),
                ("path", "/out"),
                ("flush.interval", "5ms"),
            ],
        )
        .await;
    process
        .worker
        .wait_for("out", |status| {
            status.tasks.first().is_some_and(|task| task.records == 10)
        })
        .await;
    process
        .worker
        .set_target("out", Target::Paused)
        .await
        .expect("it is there");
    process
        .worker
        .wait_for("out", |status| {
            status.state == State::Paused && status.tasks[0].state == State::Paused
        })
        .await;
    broker.fill("numbers", 1, (10..20).map(|n| n.to_string()));
    let commits = broker.commits();
    process
        .worker
        .set_target("out", Target::Running)
        .await
        .expect("it is there");
    process
        .worker
        .wait_for("out", |status| status.tasks[0].records == 20)
        .await;
    assert!(broker.commits() > commits);
    process
        .worker
        .set_target("out", Target::Stopped)
        .await
        .expect("it is there");
    process
        .worker
        .wait_for("out", |status| {
            status.state == State::Stopped && status.tasks.is_empty()
        })
        .await;
    process
        .worker
        .set_target("out", Target::Running)
        .await
        .expect("it is there");
    broker.fill("numbers", 1, (20..30).map(|n| n.to_string()));
    process
        .worker
        .wait_for("out", |status| {
            status.tasks.first().is_some_and(|task| task.records == 10)
        })
        .await;
    assert_eq!(lines(disk.mount().as_ref(), "/out").len(), 30);
    process.stop().await;
}

#[tokio::test]
async fn a_process_that_starts_again_goes_on_with_what_it_last_said() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    write(disk.mount().as_ref(), "/in/f.csv", CSV);
    let process = Process::start(&broker, disk.mount()).await;
    process.put("in", &source("/in/f.csv")).await;
    process
        .put(
            "held",
            &[
                ("connector.class", "datagen"),
                ("topic", "made"),
                ("rows.per.second", "1000"),
            ],
        )
        .await;
    process.worker.finished("in").await;
    process
        .worker
        .set_target("held", Target::Paused)
        .await
        .expect("it is there");
    process
        .worker
        .wait_for("held", |status| {
            status.state == State::Paused && status.tasks[0].state == State::Paused
        })
        .await;
    let made = broker.bodies("made").len();
    process.stop().await;

    let process = Process::start(&broker, disk.mount()).await;
    assert_eq!(process.worker.names(), ["held", "in"]);
    process.worker.finished("in").await;
    process
        .worker
        .wait_for("held", |status| {
            status.state == State::Paused && status.tasks[0].state == State::Paused
        })
        .await;
    assert_eq!(broker.bodies("numbers").len(), 3, "nothing is read twice");
    assert_eq!(broker.bodies("made").len(), made);
    process
        .worker
        .set_target("held", Target::Running)
        .await
        .expect("it is there");
    until("rows are made again", || broker.bodies("made").len() > made).await;
    let ids: std::collections::BTreeSet<String> = broker
        .bodies("made")
        .iter()
        .filter_map(|body| Some(body.split("\"id\":").nth(1)?.split(',').next()?.to_owned()))
        .collect();
    assert!(ids.len() > made, "ids go on and none repeats");
    process.stop().await;
}

#[tokio::test]
async fn a_closed_worker_has_ended_its_connectors_and_takes_no_more_requests() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    broker.fill("rows", 2, ["{}".to_owned()]);
    let process = Process::start(&broker, disk.mount()).await;
    let sink = [("connector.class", "blackhole-sink"), ("topics", "rows")];
    process.put("hole", &sink).await;
    process
        .worker
        .wait_for("hole", |status| status.state == State::Running)
        .await;
    process.worker.close().await;
    let left = process.tasks.running();
    let left: Vec<_> = left.iter().filter(|name| name.contains("hole")).collect();
    assert!(left.is_empty(), "{left:?}");
    let error = process.worker.delete("hole").await;
    assert!(
        matches!(error, Err(connect_runtime::Error::Closed)),
        "{error:?}"
    );
    // Closed again is as good, and the connector is wanted as before.
    process.worker.close().await;
    process.stop().await;
    let next = Process::start(&broker, disk.mount()).await;
    next.worker
        .wait_for("hole", |status| status.state == State::Running)
        .await;
    next.stop().await;
}

#[tokio::test]
async fn a_deleted_connector_is_gone_and_its_offsets_are_kept() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    write(disk.mount().as_ref(), "/in/f.csv", CSV);
    let process = Process::start(&broker, disk.mount()).await;
    process.put("in", &source("/in/f.csv")).await;
    process.worker.finished("in").await;
    process.worker.delete("in").await.expect("it is there");
    assert!(process.worker.status("in").is_err());
    process.put("in", &source("/in/f.csv")).await;
    process.worker.finished("in").await;
    assert_eq!(
        broker.bodies("numbers").len(),
        3,
        "it goes on behind the last row"
    );
    process.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_waited_for_and_lost_answers_repeat_nothing() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    let process = Process::start(&broker, disk.mount()).await;
    process
        .put(
            "made",
            &[
                ("connector.class", "datagen"),
                ("topic", "made"),
                ("rows", "500"),
                ("rows.per.second", "0"),
                ("batch.rows", "10"),
                ("errors.retry.delay.max.ms", "5"),
            ],
        )
        .await;
    until("it has begun", || broker.bodies("made").len() > 20).await;
    broker.lose_answers(7);
    broker.go_away(true);
    process
        .worker
        .wait_for("made", |status| {
            status.tasks[0].state == State::Restarting || status.tasks[0].ended
        })
        .await;
    broker.go_away(false);
    process.worker.finished("made").await;
    assert_eq!(broker.bodies("made").len(), 500);
    process.stop().await;
}

#[tokio::test]
async fn a_changed_configuration_restarts_only_the_tasks_it_changes() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    for file in ["a", "b", "c"] {
        write(disk.mount().as_ref(), &format!("/in/{file}.csv"), CSV);
    }
    let process = Process::start(&broker, disk.mount()).await;
    let with_tasks = |paths: &'static str| {
        let mut config = source(paths);
        config.push(("tasks.max", "2"));
        config
    };
    process.put("in", &with_tasks("/in/a.csv,/in/b.csv")).await;
    process.worker.finished("in").await;
    process
        .put("in", &with_tasks("/in/a.csv,/in/b.csv,/in/c.csv"))
        .await;
    until("the third file is read", || {
        broker.bodies("numbers").len() == 9
    })
    .await;
    process.worker.finished("in").await;
    let tasks = process.worker.status("in").expect("it is there").tasks;
    assert_eq!(
        tasks.iter().map(|task| task.records).collect::<Vec<_>>(),
        [3, 3],
        "the second task was left alone"
    );
    // The files change hands and nobody reads them again.
    process
        .put("in", &with_tasks("/in/c.csv,/in/a.csv,/in/b.csv"))
        .await;
    process.worker.finished("in").await;
    process
        .put("in", &source("/in/b.csv,/in/c.csv,/in/a.csv"))
        .await;
    process.worker.finished("in").await;
    assert_eq!(broker.bodies("numbers").len(), 9);
    process.stop().await;
}

#[tokio::test]
async fn queues_that_a_topic_gets_later_are_read_too() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    broker.fill("numbers", 1, (0..5).map(|n| n.to_string()));
    let process = Process::start(&broker, disk.mount()).await;
    process
        .put(
            "out",
            &[
                ("connector.class", "file-sink"),
                ("topics", "numbers"),
                ("path", "/out"),
                ("tasks.max", "2"),
                ("flush.interval", "5ms"),
            ],
        )
        .await;
    until("the first queue is read", || {
        lines(disk.mount().as_ref(), "/out").len() == 5
    })
    .await;
    broker.grow("numbers", 3);
    broker.fill("numbers", 3, (5..20).map(|n| n.to_string()));
    until("the new queues are read", || {
        lines(disk.mount().as_ref(), "/out").len() == 20
    })
    .await;
    process.stop().await;
}

/// Fails as told, then works.
struct Moody {
    openings: Arc<AtomicUsize>,
    errors: Vec<Error>,
}

#[async_trait]
impl Connector for Moody {
    fn describe(&self) -> Description {
        Description {
            name: "moody-sink",
            family: "moody",
            aliases: &[],
            kind: Kind::Sink,
            version: "1",
            summary: "Fails at first.",
            guarantee: Guarantee::AtLeastOnce,
            options: Vec::new(),
        }
    }

    async fn sink(&self, _: TaskOptions, _: Context) -> Result<Box<dyn Sink>, Error> {
        let opening = self.openings.fetch_add(1, Ordering::SeqCst);
        match self.errors.get(opening) {
            Some(error) => Err(error.clone()),
            None => Ok(Box::new(Refusing)),
        }
    }
}

/// Does not want records that end in 3.
struct Refusing;

#[async_trait]
impl Sink for Refusing {
    async fn write(&mut self, batch: SinkBatch) -> Result<Vec<Refused>, Error> {
        let connect_sdk::Records::Bytes(records) = &batch.records else {
            return Err(Error::poison("columns"));
        };
        let refused = |(row, record): (usize, &connect_sdk::RawRecord)| {
            record.body.ends_with(b"3").then(|| Refused {
                row,
                why: "it ends in 3".into(),
            })
        };
        Ok(records.iter().enumerate().filter_map(refused).collect())
    }

    async fn flush(&mut self) -> Result<Positions, Error> {
        Ok(Positions::of_queue("numbers", 0, 10))
    }
}

fn moody(errors: Vec<Error>) -> (Arc<AtomicUsize>, Arc<dyn Connector>) {
    let openings = Arc::new(AtomicUsize::new(0));
    (openings.clone(), Arc::new(Moody { openings, errors }))
}

const MOODY: &[(&str, &str)] = &[
    ("connector.class", "moody"),
    ("topics", "numbers"),
    ("flush.interval", "1ms"),
    ("errors.retry.delay.max.ms", "2"),
    ("errors.deadletterqueue.topic.name", "letters"),
];

#[tokio::test]
async fn a_target_that_comes_back_is_found_again_and_what_it_refuses_is_a_dead_letter() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    broker.fill("numbers", 1, (0..10).map(|n| n.to_string()));
    let (openings, connector) = moody(vec![Error::transient("not now"); 20]);
    let process = Process::start_with(&broker, disk.mount(), vec![connector]).await;
    process.put("out", MOODY).await;
    process
        .worker
        .wait_for("out", |status| {
            status.tasks.first().is_some_and(|task| task.records == 9)
        })
        .await;
    assert_eq!(openings.load(Ordering::SeqCst), 21);
    assert_eq!(broker.bodies("letters"), ["3"]);
    assert_eq!(
        broker.messages("letters")[0]
            .properties
            .get("__connect.errors.exception.message"),
        Some("it ends in 3")
    );
    process.stop().await;
}

#[tokio::test]
async fn a_target_that_is_away_is_waited_for_within_the_bound_somebody_set() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    broker.fill("numbers", 1, (0..10).map(|n| n.to_string()));
    let (openings, connector) = moody(vec![Error::transient("not now"); 300]);
    let process = Process::start_with(&broker, disk.mount(), vec![connector]).await;
    process.put("out", MOODY).await;
    until("it was tried often", || {
        openings.load(Ordering::SeqCst) > 50
    })
    .await;
    let (_, status) = process.request("GET", "/connectors/out/status", "").await;
    assert_eq!(
        (&status["connector"]["state"], &status["connector"]["trace"]),
        (&json!("RUNNING"), &json!("not now"))
    );
    assert_eq!(
        (&status["tasks"][0]["state"], &status["tasks"][0]["trace"]),
        (&json!("RESTARTING"), &json!("not now"))
    );
    let mut bounded = MOODY.to_vec();
    bounded.push(("errors.retry.timeout", "20ms"));
    process.put("out", &bounded).await;
    process
        .worker
        .wait_for("out", |status| {
            status
                .tasks
                .first()
                .is_some_and(|task| task.state == State::Failed)
        })
        .await;
    // It goes on by itself all the same, and nothing is said of what is over.
    process
        .worker
        .wait_for("out", |status| {
            status.tasks.first().is_some_and(|task| task.records == 9)
        })
        .await;
    let (_, status) = process.request("GET", "/connectors/out/status", "").await;
    assert_eq!(status["connector"].get("trace"), None);
    assert_eq!(status["tasks"][0]["state"], "RUNNING");
    process.stop().await;
}

#[tokio::test]
async fn a_wrong_configuration_fails_at_once_with_the_hint_and_waits_for_somebody() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    broker.fill("numbers", 1, (0..10).map(|n| n.to_string()));
    let (openings, connector) = moody(vec![Error::config("no such table", "create it")]);
    let process = Process::start_with(&broker, disk.mount(), vec![connector]).await;
    process.put("out", MOODY).await;
    process.worker.finished("out").await;
    let task = process.worker.status("out").expect("it is there").tasks[0].clone();
    assert_eq!(
        (task.state, task.trace.as_deref()),
        (State::Failed, Some("no such table\n  fix: create it"))
    );
    assert_eq!(openings.load(Ordering::SeqCst), 1);
    process
        .worker
        .restart_task("out", 0)
        .await
        .expect("it is there");
    process
        .worker
        .wait_for("out", |status| status.tasks[0].records == 9)
        .await;
    process.stop().await;
}

#[tokio::test]
async fn a_connector_that_comes_before_its_topic_waits_for_it() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    let process = Process::start(&broker, disk.mount()).await;
    process
        .put(
            "out",
            &[
                ("connector.class", "blackhole"),
                ("topics", "numbers"),
                ("flush.interval", "1ms"),
            ],
        )
        .await;
    process
        .worker
        .wait_for("out", |status| {
            status
                .tasks
                .first()
                .is_some_and(|task| task.state == State::Restarting)
        })
        .await;
    let trace = process.worker.status("out").expect("it is there").tasks[0]
        .trace
        .clone();
    assert_eq!(trace.as_deref(), Some("topic numbers does not exist yet"));
    broker.fill("numbers", 1, ["1".to_owned()]);
    process
        .worker
        .wait_for("out", |status| {
            status.tasks[0].records == 1 && status.tasks[0].state == State::Running
        })
        .await;
    process.stop().await;
}

#[tokio::test]
async fn an_invalid_configuration_is_refused_with_everything_that_is_wrong() {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    let process = Process::start(&broker, disk.mount()).await;
    let config = flat(&[
        ("connector.class", "file"),
        ("type", "source"),
        ("pahts", "/in/f.csv"),
        ("topic", "no such.name"),
        ("tasks.max", "none"),
        ("format.null-literl", "x"),
    ]);
    let error = process
        .worker
        .put("in", config, true, None)
        .await
        .expect_err("it is wrong in many ways");
    assert_eq!(
        error.to_string(),
        "Connector configuration is invalid and contains the following 5 error(s):\n\
         format: format json has no option \"null-literl\"; it has encode.decimal-as-plain-number, encode.ignore-null-fields, fail-on-missing-field, ignore-parse-errors, timestamp-format.standard\n\
         pahts: option \"pahts\" is unknown (did you mean \"path\"?)\n\
         path: option \"path\" is required (The file to read, or several.)\n\
         tasks.max: \"none\" is not a whole number from 1 to 1000\n\
         topics: the topic \"no such.name\" contains ' '; allowed are a-z A-Z 0-9 % | - _"
    );
    assert_eq!(process.worker.names(), Vec::<String>::new());
    process.stop().await;
}

//! Positions and topics of connectors, changed through the API.

use std::sync::Arc;

use connect_runtime::State;
use runtime::SimDisk;
use serde_json::{Value, json};

use crate::broker_in_memory::MemoryBroker;
use crate::files::{sim_disk, write};
use crate::process::Process;

const CSV: &str = "id,name\n1,one\n2,two\n3,three\n";
const ONE: &str = r#"{"id":1,"name":"one"}"#;
const TWO: &str = r#"{"id":2,"name":"two"}"#;
const THREE: &str = r#"{"id":3,"name":"three"}"#;

struct House {
    process: Process,
    broker: Arc<MemoryBroker>,
    disk: SimDisk,
}

impl House {
    async fn start() -> Self {
        let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
        for file in ["/in/f.csv", "/in/g.csv"] {
            write(disk.mount().as_ref(), file, CSV);
        }
        let process = Process::start(&broker, disk.mount()).await;
        Self {
            process,
            broker,
            disk,
        }
    }

    /// With a source `in` that has read two files to their ends.
    async fn with_source(tasks: &str) -> Self {
        let house = Self::start().await;
        let source = [
            ("connector.class", "file-source"),
            ("path", "/in/f.csv,/in/g.csv"),
            ("mode", "bounded"),
            ("topics", "numbers"),
            ("tasks.max", tasks),
            ("schema", "id INT, name STRING"),
        ];
        house.process.put("in", &source).await;
        house.process.worker.finished("in").await;
        assert_eq!(house.broker.bodies("numbers").len(), 6);
        house
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.process.request(method, path, body).await
    }

    async fn alter(&self, name: &str, offsets: Value) -> (u16, Value) {
        let body = json!({ "offsets": offsets }).to_string();
        let path = format!("/connectors/{name}/offsets");
        self.ask("PATCH", &path, &body).await
    }

    async fn offsets(&self, name: &str) -> Value {
        let path = format!("/connectors/{name}/offsets");
        self.ask("GET", &path, "").await.1["offsets"].clone()
    }

    async fn stop(&self, name: &str) {
        let path = format!("/connectors/{name}/stop");
        assert_eq!(self.ask("PUT", &path, "").await.0, 204);
    }

    /// The records that `in` brings when it goes on.
    async fn brings(&self) -> Vec<String> {
        let before = self.broker.bodies("numbers");
        let resumed = self.ask("PUT", "/connectors/in/resume", "").await;
        assert_eq!(resumed.0, 202);
        self.process.worker.finished("in").await;
        let mut after = self.broker.bodies("numbers");
        for body in before {
            let at = after.iter().position(|other| *other == body);
            after.swap_remove(at.expect("nothing is lost"));
        }
        after.sort();
        after
    }
}

#[track_caller]
fn altered(answer: (u16, Value)) {
    let message = "The offsets for this connector have been altered successfully";
    assert_eq!(answer, (200, json!({ "message": message })));
}

#[track_caller]
fn refused(answer: &(u16, Value), why: &str) {
    assert_eq!(answer.0, 400, "{}", answer.1);
    let message = answer.1["message"].as_str().expect("a message");
    assert!(message.contains(why), "{message}");
}

fn at(file: &str, position: u64) -> Value {
    json!({ "partition": { "filename": file }, "offset": { "position": position } })
}

#[tokio::test]
async fn a_source_goes_on_from_the_position_it_was_given() {
    let house = House::with_source("2").await;
    refused(
        &house.alter("in", json!([at("/in/f.csv", 0)])).await,
        "must be in the STOPPED state",
    );
    house.stop("in").await;
    // Behind the header and the first row of one file, from the start of the other.
    let behind_one = "id,name\n1,one\n".len() as u64;
    let wanted = json!([at("/in/f.csv", behind_one), at("/in/g.csv", 0)]);
    altered(house.alter("in", wanted.clone()).await);
    assert_eq!(house.offsets("in").await, wanted);
    assert_eq!(house.brings().await, [ONE, TWO, TWO, THREE, THREE]);
    assert!(
        house.offsets("in").await[0]["offset"]["line"] == json!(4),
        "lines are counted from the place it was given"
    );
    house.process.stop().await;
}

#[tokio::test]
async fn a_position_that_cannot_be_understood_moves_nothing() {
    let house = House::with_source("1").await;
    house.stop("in").await;
    let before = house.offsets("in").await;
    let good = at("/in/f.csv", 0);
    for (bad, why) in [
        (
            json!({"partition": {"file": "/in/f.csv"}, "offset": {"position": 0}}),
            "filename",
        ),
        (
            at("/in/none.csv", 0),
            "/in/none.csv is none of the files it reads: /in/f.csv,/in/g.csv",
        ),
        (
            json!({"partition": {"filename": "/in/g.csv"}, "offset": {"position": -1}}),
            "position is -1",
        ),
        (
            json!({"partition": {"filename": "/in/g.csv"}, "offset": {"position": "x"}}),
            "position is \"x\"",
        ),
        (
            json!({"partition": {"filename": "/in/g.csv"}, "offset": {"byte": 1}}),
            "not byte",
        ),
        (
            json!({"offset": {"position": 1}}),
            "Partition objects cannot be null",
        ),
        (
            json!({"partition": {"filename": "/in/g.csv"}, "ofset": null}),
            "ofset",
        ),
    ] {
        refused(&house.alter("in", json!([good, bad])).await, why);
        assert_eq!(house.offsets("in").await, before, "{why}");
    }
    for body in ["{}", r#"{"offsets": []}"#, r#"{"offsets": null}"#] {
        refused(
            &house.ask("PATCH", "/connectors/in/offsets", body).await,
            "Partitions / offsets need to be provided",
        );
    }
    assert_eq!(house.brings().await, Vec::<String>::new());
    house.process.stop().await;
}

#[tokio::test]
async fn forgotten_positions_are_read_anew_whichever_task_kept_them() {
    let house = House::with_source("2").await;
    house.stop("in").await;
    let forget = json!([{ "partition": { "filename": "/in/g.csv" }, "offset": null }]);
    altered(house.alter("in", forget).await);
    assert_eq!(house.brings().await, [ONE, TWO, THREE]);
    house.stop("in").await;
    let reset = house.ask("DELETE", "/connectors/in/offsets", "").await;
    let message = "The offsets for this connector have been reset successfully";
    assert_eq!(reset, (200, json!({ "message": message })));
    assert_eq!(house.offsets("in").await, json!([]));
    assert_eq!(house.brings().await.len(), 6);
    house.process.stop().await;
}

#[tokio::test]
async fn a_position_given_to_a_connector_that_never_ran_is_where_it_begins() {
    let house = House::start().await;
    let config = json!({
        "connector.class": "datagen-source",
        "topics": "numbers",
        "rows": "10",
        "rows.per.second": "0",
        "schema": "id BIGINT",
    });
    let body = json!({ "name": "in", "config": config, "initial_state": "STOPPED" }).to_string();
    assert_eq!(house.ask("POST", "/connectors", &body).await.0, 201);
    let place = |row: Value| json!([{ "partition": { "generator": "datagen" }, "offset": row }]);
    refused(
        &house.alter("in", place(json!({ "row": "x" }))).await,
        "row",
    );
    altered(house.alter("in", place(json!({ "row": 8 }))).await);
    assert_eq!(house.brings().await, [r#"{"id":8}"#, r#"{"id":9}"#]);
    house.process.stop().await;
}

#[tokio::test]
async fn an_answer_of_the_broker_that_is_lost_moves_positions_once() {
    let house = House::with_source("1").await;
    house.stop("in").await;
    house.broker.lose_answers(2);
    altered(house.alter("in", json!([at("/in/f.csv", 0)])).await);
    assert_eq!(house.brings().await, [ONE, TWO, THREE]);
    house.process.stop().await;
}

#[tokio::test]
async fn a_sinks_group_goes_on_from_the_offset_it_was_given() {
    let house = House::start().await;
    house
        .broker
        .fill("numbers", 2, (0..10).map(|n| n.to_string()));
    let sink = [
        ("connector.class", "blackhole-sink"),
        ("topics", "numbers"),
        ("flush.interval", "1ms"),
    ];
    house.process.put("out", &sink).await;
    let delivered = async |count| {
        let enough = |status: &connect_runtime::ConnectorStatus| {
            let tasks = status.tasks.first();
            tasks.is_some_and(|task| task.records == count)
        };
        house.process.worker.wait_for("out", enough).await;
    };
    delivered(10).await;
    house.stop("out").await;
    let place = |topic: &str, queue: Value, offset: Value| {
        let partition = json!({ "kafka_topic": topic, "kafka_partition": queue });
        json!([{ "partition": partition, "offset": offset }])
    };
    for (wanted, why) in [
        (place("other", json!(0), json!(null)), "does not read other"),
        (place("numbers", json!(2), json!(null)), "has 2 queues"),
        (
            place("numbers", json!(0), json!({ "kafka_offset": 6 })),
            "ends at offset 5",
        ),
        (
            place("numbers", json!(0), json!({ "kafka_offset": "x" })),
            "need to be integers",
        ),
        (
            place("numbers", json!(0), json!({ "offset": 1 })),
            "'kafka_offset'",
        ),
        (
            place("numbers", json!(null), json!({ "kafka_offset": 1 })),
            "'kafka_partition'",
        ),
    ] {
        refused(&house.alter("out", wanted).await, why);
    }
    altered(
        house
            .alter(
                "out",
                place("numbers", json!("1"), json!({ "kafka_offset": "3" })),
            )
            .await,
    );
    assert_eq!(
        house.offsets("out").await[1]["offset"],
        json!({ "kafka_offset": 3 })
    );
    assert_eq!(house.ask("PUT", "/connectors/out/resume", "").await.0, 202);
    delivered(2).await;
    house.stop("out").await;
    assert_eq!(
        house.ask("DELETE", "/connectors/out/offsets", "").await.0,
        200
    );
    assert_eq!(house.ask("PUT", "/connectors/out/resume", "").await.0, 202);
    delivered(10).await;
    house.process.stop().await;
}

#[tokio::test]
async fn a_sink_whose_target_keeps_the_position_says_so() {
    let house = House::start().await;
    house.broker.fill("numbers", 1, ["1".to_owned()]);
    let sink = [
        ("connector.class", "file-sink"),
        ("topics", "numbers"),
        ("path", "/out"),
    ];
    house.process.put("out", &sink).await;
    house.stop("out").await;
    let wanted = json!([{
        "partition": { "kafka_topic": "numbers", "kafka_partition": 0 },
        "offset": { "kafka_offset": 0 },
    }]);
    let why = "the names of the files in /out say how far it is";
    refused(&house.alter("out", wanted).await, why);
    refused(
        &house.ask("DELETE", "/connectors/out/offsets", "").await,
        why,
    );
    house.process.stop().await;
}

#[tokio::test]
async fn topics_are_those_that_were_used_since_they_were_reset() {
    let house = House::with_source("1").await;
    let topics =
        async || house.ask("GET", "/connectors/in/topics", "").await.1["in"]["topics"].clone();
    assert_eq!(topics().await, json!(["numbers"]));
    let disk = house.disk.mount();
    let reset = async || {
        let path = "/connectors/in/topics/reset";
        let kind = "application/json";
        house.process.raw_request("PUT", path, kind, "").await.0
    };
    assert_eq!(reset().await, 202);
    assert_eq!(topics().await, json!([]));
    house.stop("in").await;
    assert_eq!(
        house.ask("DELETE", "/connectors/in/offsets", "").await.0,
        200
    );
    house.brings().await;
    assert_eq!(topics().await, json!(["numbers"]));
    house.process.stop().await;

    let next = Process::start(&house.broker, disk).await;
    let shown = next.request("GET", "/connectors/in/topics", "").await;
    assert_eq!(
        shown,
        (200, json!({ "in": { "topics": ["numbers"] } })),
        "it is kept"
    );
    next.worker.delete("in").await.expect("it is there");
    let body = json!({ "connector.class": "blackhole-sink", "topics": "numbers" }).to_string();
    let path = "/connectors/in/config";
    assert_eq!(next.request("PUT", path, &body).await.0, 201);
    next.worker
        .wait_for("in", |status| status.state == State::Running)
        .await;
    let path = "/connectors/no/topics/reset";
    assert_eq!(next.request("PUT", path, "").await.0, 404);
    next.stop().await;
}

#[tokio::test]
async fn loggers_are_shown_and_set_as_kafka_does() {
    let house = House::start().await;
    let level = |level: &str| json!({ "level": level, "last_modified": null });
    let all = house.ask("GET", "/admin/loggers", "").await;
    assert_eq!(
        all,
        (
            200,
            json!({ "root": level("WARN"), "store": level("ERROR") })
        )
    );
    let one = house.ask("GET", "/admin/loggers/store", "").await;
    assert_eq!(one, (200, level("ERROR")));
    let set = async |path: &str, body: &str| {
        let path = format!("/admin/loggers/{path}");
        house.ask("PUT", &path, body).await
    };
    let changed = set("connect_runtime::task", r#"{"level": "debug"}"#).await;
    assert_eq!(changed, (200, json!(["connect_runtime::task"])));
    let one = house
        .ask("GET", "/admin/loggers/connect_runtime::task", "")
        .await
        .1;
    assert_eq!(one["level"], "DEBUG");
    assert!(one["last_modified"].is_i64(), "{one}");
    let cluster = set("root?scope=cluster", r#"{"level": "INFO"}"#).await;
    assert_eq!(cluster, (204, Value::Null));
    for (path, body, code) in [
        ("store", r#"{"level": "LOUD"}"#, 404),
        ("store", "{}", 400),
        ("org.apache.kafka", r#"{"level": "INFO"}"#, 404),
    ] {
        assert_eq!(set(path, body).await.0, code, "{path} {body}");
    }
    assert_eq!(house.ask("GET", "/admin/loggers/nothing", "").await.0, 404);
    let deleted = house.ask("DELETE", "/admin/loggers/root", "").await;
    let message = "HTTP 405 Method Not Allowed";
    assert_eq!(
        deleted,
        (405, json!({ "error_code": 405, "message": message }))
    );
    house.process.stop().await;
}

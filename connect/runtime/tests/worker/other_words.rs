//! Options and classes under the names that Kafka gives them.

use connect_runtime::Target;
use serde_json::{Value, json};

use crate::broker_in_memory::MemoryBroker;
use crate::files::{sim_disk, write};
use crate::process::{Process, flat, put};

const SOURCE: &[(&str, &str)] = &[
    ("connector.class", "FileStreamSource"),
    ("file", "/in/notes.txt"),
    ("mode", "bounded"),
    ("topic", "notes"),
];

const NOTES: &str = "one\n{no json\n\n  two \r\nlast";

async fn process() -> (Process, std::sync::Arc<MemoryBroker>) {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    write(disk.mount().as_ref(), "/in/notes.txt", NOTES);
    (Process::start(&broker, disk.mount()).await, broker)
}

async fn validated(process: &Process, class: &str, config: &[(&str, &str)]) -> Value {
    let path = format!("/connector-plugins/{class}/config/validate");
    let body = json!(flat(config)).to_string();
    let (status, answer) = process.request("PUT", &path, &body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn kafkas_file_source_brings_each_line_as_it_stands() {
    let (process, broker) = process().await;
    process.put("in", SOURCE).await;
    process.worker.finished("in").await;
    let mut bodies = broker.bodies("notes");
    bodies.sort();
    assert_eq!(bodies, ["", "  two ", "last", "one", "{no json"]);
    let (_, config) = process.request("GET", "/connectors/in/config", "").await;
    assert_eq!(
        config,
        json!({"connector.class": "FileStreamSource", "path": "/in/notes.txt", "mode": "bounded", "topics": "notes", "name": "in"})
    );
    // Changed under either name, it is one option.
    let patch = r#"{"file": "/in/other.txt", "mode": "follow"}"#;
    let (status, changed) = process
        .request("PATCH", "/connectors/in/config", patch)
        .await;
    assert_eq!(
        (
            status,
            &changed["config"]["path"],
            changed["config"].get("file")
        ),
        (200, &json!("/in/other.txt"), None)
    );
    let twice = r#"{"file": "/in/a.txt", "path": "/in/b.txt"}"#;
    let (status, _) = process
        .request("PATCH", "/connectors/in/config", twice)
        .await;
    assert_eq!(status, 400);
    process.stop().await;
}

#[tokio::test]
async fn a_file_under_both_names_is_found_twice() {
    let (process, _) = process().await;
    let both = [SOURCE, &[("name", "in"), ("path", "/in/notes.txt")]].concat();
    let answer = validated(&process, "file-source", &both).await;
    assert_eq!(
        answer["findings"],
        json!([{
            "severity": "error",
            "code": "connector.option.twice",
            "path": "path",
            "message": "\"path\" is set twice, once as \"file\"",
        }])
    );
    let (status, answer) = process
        .request(
            "PUT",
            "/connectors/in/config",
            &json!(flat(&both)).to_string(),
        )
        .await;
    assert_eq!(status, 400, "{answer}");
    process.stop().await;
}

#[tokio::test]
async fn kafkas_file_sink_is_refused_with_what_to_write_instead() {
    let (process, _) = process().await;
    for class in [
        "FileStreamSink",
        "org.apache.kafka.connect.file.FileStreamSinkConnector",
    ] {
        let sink = [
            ("name", "out"),
            ("connector.class", class),
            ("file", "/out/notes.txt"),
            ("topics", "notes"),
        ];
        let answer = validated(&process, "FileStreamSinkConnector", &sink).await;
        let finding = &answer["findings"][0];
        assert_eq!(finding["path"], "connector.class");
        let hint = finding["hint"].as_str().expect("a hint");
        assert!(hint.contains("connector.class = \"file-sink\""), "{hint}");
        let refused = process.worker.put("out", flat(&sink), true, None).await;
        let refused = refused.expect_err("it is another connector").to_string();
        assert!(refused.contains("appends to one file"), "{refused}");
    }
    process.stop().await;
}

#[tokio::test]
async fn changes_that_come_at_the_same_time_are_all_kept() {
    let (process, _) = process().await;
    put(&process.worker, "in", SOURCE).await;
    let change = |number: usize| {
        let key = ["batch.rows", "record.max", "poll.interval", "topic.queues"][number % 4];
        let changes = [(key.to_owned(), Some("7".to_owned()))];
        let worker = process.worker.clone();
        async move { worker.patch("in", changes.into()).await }
    };
    for changed in futures_of((0..4).map(change).collect()).await {
        changed.expect("it can be changed");
    }
    let config = process.worker.info("in").expect("it is there").config;
    for key in ["batch.rows", "record.max", "poll.interval", "topic.queues"] {
        assert_eq!(config.get(key).map(String::as_str), Some("7"), "{key}");
    }
    process.stop().await;
}

async fn futures_of<T: Send + 'static>(
    all: Vec<impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let running: Vec<_> = all.into_iter().map(tokio::spawn).collect();
    let mut done = Vec::new();
    for task in running {
        done.push(task.await.expect("no panic"));
    }
    done
}

#[tokio::test]
async fn the_location_of_a_connector_leads_to_it_whatever_its_name() {
    let (process, _) = process().await;
    let body = json!({ "name": "a%20|b", "config": flat(SOURCE) }).to_string();
    let (status, head, _) = process
        .raw_request("POST", "/connectors", "application/json", &body)
        .await;
    assert_eq!(status, 201);
    let location = "/connectors/a%2520%7Cb";
    assert!(
        head.contains(&format!("location: {location}\r\n")),
        "{head}"
    );
    let (status, found) = process.request("GET", location, "").await;
    assert_eq!((status, &found["name"]), (200, &json!("a%20|b")));
    let target = process.worker.set_target("a%20|b", Target::Stopped).await;
    target.expect("it is there");
    process.stop().await;
}

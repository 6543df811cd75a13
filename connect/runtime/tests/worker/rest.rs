//! Kafka Connect's REST API: paths, codes and shapes.

use std::sync::Arc;

use connect_runtime::State;
use runtime::SimDisk;
use serde_json::{Value, json};

use crate::broker_in_memory::MemoryBroker;
use crate::files::{sim_disk, write};
use crate::process::Process;

async fn process() -> (Process, Arc<MemoryBroker>, SimDisk) {
    let (broker, disk) = (MemoryBroker::new(), sim_disk(1));
    write(
        disk.mount().as_ref(),
        "/in/f.csv",
        "id,name\n1,one\n2,two\n",
    );
    (Process::start(&broker, disk.mount()).await, broker, disk)
}

fn source() -> Value {
    json!({
        "connector.class": "file-source",
        "path": "/in/f.csv",
        "mode": "bounded",
        "topics": "numbers",
        "tasks.max": "1",
        "schema": "id INT, name STRING",
    })
}

async fn create(process: &Process, name: &str) {
    let body = json!({ "name": name, "config": source() }).to_string();
    assert_eq!(process.request("POST", "/connectors", &body).await.0, 201);
    process.worker.finished(name).await;
}

#[track_caller]
fn check(answer: (u16, Value), status: u16, body: Value) {
    assert_eq!(answer.0, status, "{}", answer.1);
    assert_eq!(answer.1, body);
}

fn error(code: u16, message: &str) -> Value {
    json!({ "error_code": code, "message": message })
}

#[tokio::test]
async fn the_root_says_who_answers() {
    let (process, ..) = process().await;
    check(
        process.request("GET", "/", "").await,
        200,
        json!({"version": "0.1.0", "commit": "abc", "kafka_cluster_id": "test"}),
    );
    assert_eq!(
        process.request("GET", "/health", "").await.1["status"],
        "healthy"
    );
}

#[tokio::test]
async fn a_connector_is_created_shown_listed_and_deleted() {
    let (process, ..) = process().await;
    check(
        process.request("GET", "/connectors", "").await,
        200,
        json!([]),
    );
    let body = json!({ "name": "in", "config": source() }).to_string();
    let (status, head, created) = process
        .raw_request("POST", "/connectors", "application/json", &body)
        .await;
    assert_eq!(status, 201);
    assert!(head.contains("location: /connectors/in"), "{head}");
    let created: Value = serde_json::from_str(&created).expect("JSON");
    let mut config = source();
    config["name"] = "in".into();
    assert_eq!(
        (&created["name"], &created["config"], &created["type"]),
        (&json!("in"), &config, &json!("source"))
    );
    process.worker.finished("in").await;

    let info = json!({"name": "in", "config": config, "tasks": [{"connector": "in", "task": 0}], "type": "source"});
    check(
        process.request("GET", "/connectors/in", "").await,
        200,
        info.clone(),
    );
    check(
        process.request("GET", "/connectors/in/config", "").await,
        200,
        config.clone(),
    );
    check(
        process.request("GET", "/connectors", "").await,
        200,
        json!(["in"]),
    );
    let state = json!({
        "name": "in",
        "connector": {"state": "RUNNING", "worker_id": "127.0.0.1:8083"},
        "tasks": [{"id": 0, "state": "RUNNING", "worker_id": "127.0.0.1:8083"}],
        "type": "source",
    });
    check(
        process.request("GET", "/connectors/in/status", "").await,
        200,
        state.clone(),
    );
    check(
        process
            .request("GET", "/connectors?expand=status&expand=info", "")
            .await,
        200,
        json!({"in": {"status": state, "info": info}}),
    );
    check(
        process.request("GET", "/connectors/in/tasks", "").await,
        200,
        json!([{"id": {"connector": "in", "task": 0}, "config": config}]),
    );
    check(
        process
            .request("GET", "/connectors/in/tasks/0/status", "")
            .await,
        200,
        json!({"id": 0, "state": "RUNNING", "worker_id": "127.0.0.1:8083"}),
    );
    check(
        process.request("GET", "/connectors/in/topics", "").await,
        200,
        json!({"in": {"topics": ["numbers"]}}),
    );
    let (status, offsets) = process.request("GET", "/connectors/in/offsets", "").await;
    assert_eq!(
        (status, &offsets["offsets"][0]["partition"]),
        (200, &json!({"filename": "/in/f.csv"}))
    );

    assert_eq!(
        process
            .raw_request("DELETE", "/connectors/in", "application/json", "")
            .await
            .0,
        204
    );
    check(
        process.request("GET", "/connectors/in", "").await,
        404,
        error(404, "Connector in not found"),
    );
    check(
        process.request("DELETE", "/connectors/in", "").await,
        404,
        error(404, "Connector in not found"),
    );
}

#[tokio::test]
async fn put_creates_with_201_and_changes_with_200() {
    let (process, ..) = process().await;
    assert_eq!(
        process
            .request("PUT", "/connectors/in/config", &source().to_string())
            .await
            .0,
        201
    );
    let mut changed = source();
    changed["batch.rows"] = json!(10);
    let (status, body) = process
        .request("PUT", "/connectors/in/config", &changed.to_string())
        .await;
    assert_eq!((status, &body["config"]["batch.rows"]), (200, &json!("10")));
    changed["name"] = "other".into();
    check(
        process
            .request("PUT", "/connectors/in/config", &changed.to_string())
            .await,
        400,
        error(
            400,
            "Connector name configuration (other) doesn't match connector name in the URL (in)",
        ),
    );
    let (status, body) = process
        .request(
            "PATCH",
            "/connectors/in/config",
            r#"{"batch.rows": null, "csv.null": "n/a"}"#,
        )
        .await;
    assert_eq!(
        (
            status,
            body["config"].get("batch.rows"),
            &body["config"]["csv.null"]
        ),
        (200, None, &json!("n/a"))
    );
}

#[tokio::test]
async fn what_exists_is_a_conflict_and_what_is_wrong_is_all_told() {
    let (process, ..) = process().await;
    create(&process, "in").await;
    let body = json!({ "name": "in", "config": source() }).to_string();
    check(
        process.request("POST", "/connectors", &body).await,
        409,
        error(409, "Connector in already exists"),
    );
    let body =
        json!({ "name": "bad", "config": {"connector.class": "file-source", "tasks.max": "x"} })
            .to_string();
    let (status, body) = process.request("POST", "/connectors", &body).await;
    assert_eq!((status, &body["error_code"]), (400, &json!(400)));
    let message = body["message"].as_str().expect("a message");
    assert!(
        message.starts_with(
            "Connector configuration is invalid and contains the following 3 error(s):\n"
        ),
        "{message}"
    );
    assert!(message.ends_with("You can also find the above list of errors at the endpoint `/connector-plugins/{connectorType}/config/validate`"));
    assert_eq!(body["findings"].as_array().map(Vec::len), Some(3));
    check(
        process
            .request("POST", "/connectors", r#"{"config": {}}"#)
            .await,
        400,
        error(400, "Connector name configuration is missing: set name"),
    );
    assert_eq!(process.request("POST", "/connectors", "{").await.0, 400);
    assert_eq!(
        process
            .request("POST", "/connectors", r#"{"name":"x","config":{"a":[]}}"#)
            .await
            .0,
        400
    );
    assert_eq!(
        process
            .raw_request("POST", "/connectors", "text/plain", "{}")
            .await
            .0,
        415
    );
}

#[tokio::test]
async fn pause_resume_stop_and_restart_answer_as_kafka_does() {
    let (process, ..) = process().await;
    create(&process, "in").await;
    let code = async |method, path| {
        process
            .raw_request(method, path, "application/json", "")
            .await
            .0
    };
    for _ in 0..2 {
        assert_eq!(code("PUT", "/connectors/in/pause").await, 202);
    }
    process
        .worker
        .wait_for("in", |status| status.state == State::Paused)
        .await;
    assert_eq!(code("PUT", "/connectors/in/resume").await, 202);
    process
        .worker
        .wait_for("in", |status| status.state == State::Running)
        .await;
    assert_eq!(code("PUT", "/connectors/in/stop").await, 204);
    process
        .worker
        .wait_for("in", |status| status.state == State::Stopped)
        .await;
    let (_, status) = process.request("GET", "/connectors/in/status", "").await;
    assert_eq!(
        (&status["connector"]["state"], &status["tasks"]),
        (&json!("STOPPED"), &json!([]))
    );
    assert_eq!(code("PUT", "/connectors/in/resume").await, 202);
    process.worker.finished("in").await;
    assert_eq!(code("POST", "/connectors/in/restart").await, 204);
    let (status, body) = process
        .request(
            "POST",
            "/connectors/in/restart?includeTasks=true&onlyFailed=false",
            "",
        )
        .await;
    assert_eq!(
        (status, &body["name"], &body["type"]),
        (202, &json!("in"), &json!("source"))
    );
    process.worker.finished("in").await;
    assert_eq!(code("POST", "/connectors/in/tasks/0/restart").await, 204);
    check(
        process
            .request("POST", "/connectors/in/tasks/7/restart", "")
            .await,
        404,
        error(404, "Unknown task: in-7"),
    );
    for (method, path) in [
        ("PUT", "/connectors/no/pause"),
        ("PUT", "/connectors/no/stop"),
        ("POST", "/connectors/no/restart"),
        ("GET", "/connectors/no/offsets"),
        ("GET", "/connectors/no/tasks"),
    ] {
        check(
            process.request(method, path, "").await,
            404,
            error(404, "Connector no not found"),
        );
    }
    check(
        process.request("GET", "/connectors/no/status", "").await,
        404,
        error(404, "No status found for connector no"),
    );
}

#[tokio::test]
async fn a_connector_may_be_created_stopped() {
    let (process, broker, _) = process().await;
    let body = json!({ "name": "in", "config": source(), "initial_state": "STOPPED" }).to_string();
    assert_eq!(process.request("POST", "/connectors", &body).await.0, 201);
    process
        .worker
        .wait_for("in", |status| status.state == State::Stopped)
        .await;
    assert_eq!(broker.bodies("numbers"), Vec::<String>::new());
}

#[tokio::test]
async fn a_failed_task_shows_its_trace() {
    let (process, _, disk) = process().await;
    write(disk.mount().as_ref(), "/in/f.csv", "id,name\nx,one\n");
    create(&process, "in").await;
    let (_, status) = process.request("GET", "/connectors/in/status", "").await;
    assert_eq!(status["connector"]["state"], "RUNNING");
    assert_eq!(
        status["tasks"],
        json!([{"id": 0, "state": "FAILED", "worker_id": "127.0.0.1:8083", "trace": "/in/f.csv line 2: field \"id\": \"x\" is not an INT"}])
    );
}

#[tokio::test]
async fn plugins_are_listed_with_their_options() {
    let (process, ..) = process().await;
    let (_, plugins) = process.request("GET", "/connector-plugins", "").await;
    assert_eq!(
        plugins[3],
        json!({"class": "file-source", "type": "source", "version": "0.1.0"})
    );
    let (_, all) = process
        .request("GET", "/connector-plugins?connectorsOnly=false", "")
        .await;
    assert!(
        all.as_array()
            .is_some_and(|all| all.iter().any(|plugin| plugin["type"] == "converter"))
    );
    let (status, options) = process
        .request("GET", "/connector-plugins/file-source/config", "")
        .await;
    assert_eq!(status, 200);
    let path = options
        .as_array()
        .expect("a list")
        .iter()
        .find(|option| option["name"] == "path")
        .expect("it has a path");
    assert_eq!(
        path,
        &json!({
            "name": "path", "type": "LIST", "required": true, "default_value": null, "importance": "HIGH",
            "documentation": "The file to read, or several.", "group": "Connector", "order": 1, "width": "LONG",
            "display_name": "path", "dependents": [],
        })
    );
    assert_eq!(
        process
            .request("GET", "/connector-plugins/nothing/config", "")
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn a_validation_tells_the_errors_by_option() {
    let (process, ..) = process().await;
    let mut config = source();
    config["name"] = "in".into();
    let path = "/connector-plugins/FileStreamSourceConnector/config/validate";
    config["connector.class"] = "org.apache.kafka.connect.file.FileStreamSourceConnector".into();
    let (_, answer) = process.request("PUT", path, &config.to_string()).await;
    assert_eq!(found(&answer), ["schema"], "Kafka's class reads lines");
    config["file.format"] = "csv".into();
    let (status, answer) = process.request("PUT", path, &config.to_string()).await;
    assert_eq!(
        (status, &answer["error_count"], &answer["name"]),
        (200, &json!(0), &json!("file-source"))
    );
    config["mode"] = "bonded".into();
    config["surprise"] = "x".into();
    config["path"] = "/in/none.csv".into();
    let (_, answer) = process.request("PUT", path, &config.to_string()).await;
    assert_eq!(answer["error_count"], json!(2));
    let of = |name: &str| {
        let configs = answer["configs"].as_array().expect("a list");
        configs
            .iter()
            .find(|entry| entry["value"]["name"] == name)
            .cloned()
            .expect("it is there")
    };
    assert_eq!(
        of("mode")["value"],
        json!({"name": "mode", "value": "bonded", "recommended_values": [], "errors": ["\"bonded\" is not one of follow, bounded (did you mean \"bounded\"?)"], "visible": true})
    );
    assert_eq!(
        of("surprise")["value"]["errors"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(of("csv.header")["value"]["value"], json!("true"));
    assert_eq!(
        answer["groups"],
        json!(["Common", "Errors", "Connector", "CSV", "Tuning"])
    );
    config["mode"] = "bounded".into();
    config
        .as_object_mut()
        .expect("an object")
        .remove("surprise");
    let (_, answer) = process.request("PUT", path, &config.to_string()).await;
    assert_eq!(
        answer["error_count"],
        json!(1),
        "the probe looks at the file"
    );
    config["connector.class"] = "file".into();
    config["type"] = "source".into();
    let family = process
        .request(
            "PUT",
            "/connector-plugins/file/config/validate",
            &config.to_string(),
        )
        .await;
    assert_eq!((family.0, &family.1["name"]), (200, &json!("file-source")));
    assert_eq!(family.1["findings"][0]["path"], "path");
    let other = process
        .request(
            "PUT",
            "/connector-plugins/datagen-source/config/validate",
            &config.to_string(),
        )
        .await;
    assert_eq!(other.0, 400);
    assert_eq!(process.request("PUT", path, "{}").await.0, 400);
}

/// The keys of everything found.
fn found(answer: &Value) -> Vec<&str> {
    let findings = answer["findings"].as_array().expect("a list");
    findings
        .iter()
        .map(|finding| finding["path"].as_str().expect("a key"))
        .collect()
}

#[tokio::test]
async fn every_kind_of_mistake_is_told_in_one_round() {
    let (process, ..) = process().await;
    let mut config = source();
    config["path"] = "/in/none.csv".into();
    config["csv.delimiter"] = "||".into();
    config["tasks.max"] = "x".into();
    config["surprise"] = "x".into();
    config["topic"] = "twice".into();
    let expected = ["csv.delimiter", "path", "surprise", "tasks.max", "topics"];
    let path = "/connector-plugins/file-source/config/validate";
    let mut named = config.clone();
    named["name"] = "in".into();
    let (_, answer) = process.request("PUT", path, &named.to_string()).await;
    assert_eq!(found(&answer), expected);
    assert_eq!(answer["error_count"], json!(5));
    let body = json!({ "name": "in", "config": config }).to_string();
    let (status, answer) = process.request("POST", "/connectors", &body).await;
    assert_eq!(status, 400);
    assert_eq!(found(&answer), expected);

    // A value that cannot be read at all leaves nothing to look at the outside with.
    named["batch.rows"] = "many".into();
    let (_, answer) = process.request("PUT", path, &named.to_string()).await;
    let expected = ["batch.rows", "surprise", "tasks.max", "topics"];
    assert_eq!(found(&answer), expected);
}

#[tokio::test]
async fn a_field_there_is_not_is_refused_and_creates_nothing() {
    let (process, ..) = process().await;
    let body = json!({ "name": "in", "config": source(), "inital_state": "STOPPED" }).to_string();
    assert_eq!(process.request("POST", "/connectors", &body).await.0, 400);
    assert_eq!(process.worker.names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_path_changes_nothing() {
    let (process, ..) = process().await;
    create(&process, "in").await;
    for path in [
        "/connectors",
        "/connectors/in",
        "/connectors/in/config",
        "/connector-plugins",
    ] {
        let plain = process.request("GET", path, "").await;
        assert_eq!(
            process.request("GET", &format!("{path}/"), "").await,
            plain,
            "{path}"
        );
    }
    let (status, expanded) = process.request("GET", "/connectors/?expand=info", "").await;
    assert_eq!(
        (status, &expanded["in"]["info"]["name"]),
        (200, &json!("in"))
    );
}

#[tokio::test]
async fn paths_and_methods_there_are_not_answer_in_the_same_shape() {
    let (process, ..) = process().await;
    check(
        process.request("GET", "/nowhere", "").await,
        404,
        error(404, "HTTP 404 Not Found"),
    );
    check(
        process.request("POST", "/connectors/in/pause", "").await,
        405,
        error(405, "HTTP 405 Method Not Allowed"),
    );
}

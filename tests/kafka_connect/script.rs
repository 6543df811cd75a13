//! The requests, in order. `$PATH` is the file of the source, `$SINK` the options of a side's sink.

use serde_json::Value;

pub enum Step {
    Ask(Request),
    /// A GET of this path is repeated until what it answers is as described.
    Until(&'static str, &'static str, fn(&Value) -> bool),
}

pub struct Request {
    pub method: &'static str,
    pub path: &'static str,
    /// What is special about it.
    note: &'static str,
    pub content_type: &'static str,
    pub body: &'static str,
}

impl Request {
    /// Names the request in the table of deviations and in failures.
    pub fn title(&self) -> String {
        match self.note {
            "" => format!("{} {}", self.method, self.path),
            note => format!("{} {} {note}", self.method, self.path),
        }
    }

    /// What the whole answer is a part of, seen from what it is compared with.
    pub fn root(&self) -> &'static str {
        match (self.method, self.path) {
            ("GET", "/connectors/in/config") => ".config",
            ("GET", "/admin/loggers") => ".loggers",
            _ => "",
        }
    }
}

const fn ask(method: &'static str, path: &'static str) -> Step {
    send(method, path, "", "")
}

const fn send(
    method: &'static str,
    path: &'static str,
    note: &'static str,
    body: &'static str,
) -> Step {
    Step::Ask(Request {
        method,
        path,
        note,
        content_type: "application/json",
        body,
    })
}

/// What is in the file: an empty line is a record too, and none needs to be JSON.
pub const LINES: &str = "{\"id\": 1}\n\nno JSON\n";

const TEXT: Step = Step::Ask(Request {
    method: "POST",
    path: "/connectors",
    note: "as plain text",
    content_type: "text/plain",
    body: "{}",
});

const VALIDATE: &str = "/connector-plugins/FileStreamSourceConnector/config/validate";

// Macros, for `concat!` takes literals only.
macro_rules! config {
    ($($more:literal)?) => {
        concat!(
            r#"{"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max": "1", "topic": "lines", "topic.queues": "1", "file": "$PATH""#,
            $($more,)?
            "}"
        )
    };
}
macro_rules! create {
    ($name:literal $(, $more:literal)?) => {
        concat!(r#"{"name": ""#, $name, r#"", "config": "#, config!(), $($more,)? "}")
    };
}

macro_rules! place {
    ($offset:literal) => {
        concat!(
            r#"{"offsets": [{"partition": {"filename": "$PATH"}, "offset": "#,
            $offset,
            "}]}"
        )
    };
}
macro_rules! queue {
    ($number:literal, $offset:literal) => {
        concat!(
            r#"{"offsets": [{"partition": {"kafka_topic": "lines", "kafka_partition": "#,
            $number,
            r#"}, "offset": "#,
            $offset,
            "}]}"
        )
    };
}

const OFFSETS: &str = "/connectors/in/offsets";
const OUT: &str = "/connectors/out/offsets";

fn is(status: &Value, state: &str) -> bool {
    let tasks = status["tasks"].as_array().map_or(&[][..], Vec::as_slice);
    status["connector"]["state"] == state
        && tasks.iter().all(|task| task["state"] == state)
        && tasks.is_empty() == (state == "STOPPED")
}

fn runs(status: &Value) -> bool {
    is(status, "RUNNING")
}

fn is_paused(status: &Value) -> bool {
    is(status, "PAUSED")
}

fn is_stopped(status: &Value) -> bool {
    is(status, "STOPPED")
}

/// Whether a partition stands there. Kafka's has another beside it, which no task looks at.
fn stands_at(answer: &Value, key: &str, place: usize) -> bool {
    let all = answer["offsets"].as_array();
    all.is_some_and(|all| all.iter().any(|one| one["offset"][key] == place))
}

fn is_at_its_end(answer: &Value) -> bool {
    stands_at(answer, "position", LINES.len())
}

fn is_behind_the_first_line(answer: &Value) -> bool {
    stands_at(answer, "position", 10)
}

/// Two sources have read the file.
fn has_delivered_all(answer: &Value) -> bool {
    stands_at(answer, "kafka_offset", 6)
}

/// One of them has read the last two lines again.
fn has_delivered_more(answer: &Value) -> bool {
    stands_at(answer, "kafka_offset", 8)
}

fn is_at_the_second(answer: &Value) -> bool {
    stands_at(answer, "kafka_offset", 1)
}

fn has_no_topics(answer: &Value) -> bool {
    answer["in"]["topics"].as_array().is_some_and(Vec::is_empty)
}

const RUNS: Step = Step::Until("/connectors/in/status", "it runs", runs);

#[rustfmt::skip]
pub const SCRIPT: &[Step] = &[
    ask("GET", "/"),
    ask("GET", "/health"),
    ask("GET", "/connectors"),
    ask("GET", "/connectors?expand=status&expand=info"),

    send("POST", "/connectors", "", create!("in")),
    RUNS,
    send("POST", "/connectors", "once more", create!("in")),
    send("POST", "/connectors", "with bad options", r#"{"name": "bad", "config": {"connector.class": "FileStreamSource", "tasks.max": "x"}}"#),
    send("POST", "/connectors", "with an unknown class", r#"{"name": "bad", "config": {"connector.class": "org.nowhere.None", "tasks.max": "1"}}"#),
    send("POST", "/connectors", "with no class", r#"{"name": "bad", "config": {"tasks.max": "1"}}"#),
    send("POST", "/connectors", "with no name", concat!(r#"{"config": "#, config!(), "}")),
    send("POST", "/connectors", "with two names", r#"{"name": "one", "config": {"name": "two", "connector.class": "FileStreamSource"}}"#),
    send("POST", "/connectors", "with no configuration", r#"{"name": "bad"}"#),
    send("POST", "/connectors", "with a list for a value", r#"{"name": "bad", "config": {"topics": []}}"#),
    send("POST", "/connectors", "with a field there is not", r#"{"name": "bad", "config": {}, "inital_state": "PAUSED"}"#),
    send("POST", "/connectors", "with a state there is not", create!("bad", r#", "initial_state": "SIDEWAYS""#)),
    send("POST", "/connectors", "with half a body", "{"),
    send("POST", "/connectors", "with a list for a body", "[]"),
    TEXT,

    ask("GET", "/connectors"),
    ask("GET", "/connectors/"),
    ask("GET", "/connectors/in"),
    ask("GET", "/connectors/in/"),
    ask("GET", "/connectors/in/config"),
    send("PUT", "/connectors/in/config", "with the same", config!()),
    send("PUT", "/connectors/in/config", "with a number for text", config!(r#", "errors.retry.delay.max.ms": 1000"#)),
    send("PUT", "/connectors/in/config", "with another name", r#"{"name": "other", "connector.class": "FileStreamSource"}"#),
    send("PUT", "/connectors/in/config", "with no class", r#"{"tasks.max": "1"}"#),
    send("PUT", "/connectors/in/config", "with an unknown class", r#"{"connector.class": "org.nowhere.None"}"#),
    send("PUT", "/connectors/in/config", "with words for a body", "nonsense"),
    send("PUT", "/connectors/new/config", "", config!()),
    send("PATCH", "/connectors/in/config", "", r#"{"tasks.max": "2"}"#),
    send("PATCH", "/connectors/in/config", "with bad options", r#"{"tasks.max": "x"}"#),
    send("POST", "/connectors", "stopped", create!("held", r#", "initial_state": "STOPPED""#)),
    Step::Until("/connectors/held/status", "it is stopped", is_stopped),
    ask("GET", "/connectors/held/status"),
    ask("GET", "/connectors/held/tasks/0/status"),

    RUNS,
    Step::Until("/connectors/in/offsets", "every line is read", is_at_its_end),
    ask("GET", "/connectors/in/offsets"),
    ask("GET", "/connectors/in/topics"),
    ask("GET", "/connectors/in/status"),
    ask("GET", "/connectors/in/tasks"),
    ask("GET", "/connectors/in/tasks-config"),
    ask("GET", "/connectors/in/tasks/0/status"),
    ask("GET", "/connectors/in/tasks/7/status"),
    ask("GET", "/connectors/in/tasks/x/status"),
    ask("GET", "/connectors?expand=status"),
    ask("GET", "/connectors?expand=info"),
    ask("GET", "/connectors?expand=status&expand=info"),
    ask("GET", "/connectors?expand=nonsense"),

    ask("PUT", "/connectors/in/pause"),
    Step::Until("/connectors/in/status", "it is paused", is_paused),
    ask("GET", "/connectors/in/status"),
    ask("PUT", "/connectors/in/pause"),
    ask("PUT", "/connectors/in/resume"),
    RUNS,
    ask("PUT", "/connectors/in/resume"),
    ask("PUT", "/connectors/in/stop"),
    Step::Until("/connectors/in/status", "it is stopped", is_stopped),
    ask("GET", "/connectors/in/status"),
    ask("GET", "/connectors/in"),
    ask("GET", "/connectors/in/offsets"),
    ask("PUT", "/connectors/in/stop"),

    ask("PUT", "/connectors/in/topics/reset"),
    Step::Until("/connectors/in/topics", "they are forgotten", has_no_topics),
    send("PATCH", OFFSETS, "", place!(r#"{"position": 10}"#)),
    Step::Until(OFFSETS, "it is where it was put", is_behind_the_first_line),
    send("PATCH", OFFSETS, "to no number", place!(r#"{"position": "x"}"#)),
    send("PATCH", OFFSETS, "to a number below 0", place!(r#"{"position": -1}"#)),
    send("PATCH", OFFSETS, "to something else", place!(r#"{"byte": 1}"#)),
    send("PATCH", OFFSETS, "of something else", r#"{"offsets": [{"partition": {"path": "x"}, "offset": {"position": 0}}]}"#),
    send("PATCH", OFFSETS, "of another file", r#"{"offsets": [{"partition": {"filename": "/nowhere"}, "offset": {"position": 0}}]}"#),
    send("PATCH", OFFSETS, "of nothing", r#"{"offsets": [{"partition": null, "offset": {"position": 0}}]}"#),
    send("PATCH", OFFSETS, "with none", r#"{"offsets": []}"#),
    send("PATCH", OFFSETS, "with no list", "{}"),
    send("PATCH", OFFSETS, "with null", r#"{"offsets": null}"#),
    send("PATCH", OFFSETS, "with a word", r#"{"offsets": "x"}"#),
    send("PATCH", OFFSETS, "with half a body", "{"),
    send("PATCH", OFFSETS, "with a field there is not", r#"{"offset": []}"#),
    Step::Until(OFFSETS, "it is where it was put", is_behind_the_first_line),

    send("POST", "/connectors", "with Kafka's file sink", r#"{"name": "file", "config": {"connector.class": "FileStreamSink", "topics": "lines", "file": "/dev/null"}}"#),
    send("POST", "/connectors", "a sink", r#"{"name": "out", "config": {"tasks.max": "1", "topics": "lines", $SINK}}"#),
    Step::Until(OUT, "it delivered all", has_delivered_all),
    ask("GET", OUT),
    ask("GET", "/connectors/out/topics"),
    ask("DELETE", OUT),

    ask("PUT", "/connectors/in/resume"),
    RUNS,
    Step::Until(OFFSETS, "the rest is read again", is_at_its_end),
    Step::Until(OUT, "it delivered that too", has_delivered_more),
    ask("GET", "/connectors/in/topics"),
    send("PATCH", OFFSETS, "while it runs", place!(r#"{"position": 0}"#)),
    ask("DELETE", OFFSETS),
    ask("PUT", "/connectors/in/stop"),
    Step::Until("/connectors/in/status", "it is stopped", is_stopped),
    send("PATCH", OFFSETS, "to the start", place!("null")),
    ask("GET", OFFSETS),
    ask("DELETE", OFFSETS),
    ask("DELETE", OFFSETS),
    ask("GET", OFFSETS),

    ask("PUT", "/connectors/out/stop"),
    Step::Until("/connectors/out/status", "it is stopped", is_stopped),
    send("PATCH", OUT, "", queue!("0", r#"{"kafka_offset": 1}"#)),
    Step::Until(OUT, "it is where it was put", is_at_the_second),
    send("PATCH", OUT, "as text", queue!(r#""0""#, r#"{"kafka_offset": "1"}"#)),
    send("PATCH", OUT, "to no number", queue!("0", r#"{"kafka_offset": "x"}"#)),
    send("PATCH", OUT, "to something else", queue!("0", r#"{"offset": 1}"#)),
    send("PATCH", OUT, "of half a queue", r#"{"offsets": [{"partition": {"kafka_topic": "lines"}, "offset": {"kafka_offset": 1}}]}"#),
    send("PATCH", OUT, "of no queue there is", queue!("9", r#"{"kafka_offset": 1}"#)),
    Step::Until(OUT, "it is where it was put", is_at_the_second),
    ask("PUT", "/connectors/out/resume"),
    Step::Until(OUT, "it delivered the rest again", has_delivered_more),
    ask("PUT", "/connectors/out/stop"),
    Step::Until("/connectors/out/status", "it is stopped", is_stopped),
    send("PATCH", OUT, "to the start", queue!("0", "null")),
    ask("DELETE", OUT),
    ask("DELETE", "/connectors/out"),

    ask("PUT", "/connectors/in/resume"),
    RUNS,
    ask("POST", "/connectors/in/restart"),
    RUNS,
    ask("POST", "/connectors/in/restart?includeTasks=true&onlyFailed=false"),
    RUNS,
    ask("POST", "/connectors/in/restart?onlyFailed=true"),
    RUNS,
    ask("POST", "/connectors/in/tasks/0/restart"),
    RUNS,
    ask("POST", "/connectors/in/tasks/x/restart"),
    // Kafka's standalone worker makes up a failed task here; nothing after this looks at tasks.
    ask("POST", "/connectors/in/tasks/7/restart"),

    ask("GET", "/connector-plugins"),
    ask("GET", "/connector-plugins?connectorsOnly=true"),
    ask("GET", "/connector-plugins/FileStreamSourceConnector/config"),
    ask("GET", "/connector-plugins/nothing/config"),
    send("PUT", VALIDATE, "", config!(r#", "name": "checked""#)),
    send("PUT", VALIDATE, "with bad options", r#"{"connector.class": "FileStreamSource", "tasks.max": "x"}"#),
    send("PUT", VALIDATE, "with no class", "{}"),
    send("PUT", VALIDATE, "with another class", r#"{"connector.class": "FileStreamSink"}"#),
    send("PUT", VALIDATE, "with half a body", "{"),
    send("PUT", "/connector-plugins/nothing/config/validate", "with its class", r#"{"connector.class": "nothing"}"#),

    ask("GET", "/admin/loggers"),
    ask("GET", "/admin/loggers/root"),
    ask("GET", "/admin/loggers/nothing"),
    send("PUT", "/admin/loggers/some_module", "", r#"{"level": "debug"}"#),
    ask("GET", "/admin/loggers/some_module"),
    send("PUT", "/admin/loggers/some_module?scope=worker", "", r#"{"level": "INFO"}"#),
    send("PUT", "/admin/loggers/some_module?scope=cluster", "", r#"{"level": "WARN"}"#),
    send("PUT", "/admin/loggers/some_module", "to no level", r#"{"level": "LOUD"}"#),
    send("PUT", "/admin/loggers/some_module", "with none", "{}"),
    send("PUT", "/admin/loggers/org.apache.kafka", "", r#"{"level": "INFO"}"#),
    ask("GET", "/admin/loggers"),
    ask("DELETE", "/admin/loggers/root"),
    ask("GET", "/admin"),
    send("POST", "/connectors/in/tasks", "between workers", "[]"),
    ask("PUT", "/connectors/in/fence"),

    ask("DELETE", "/connectors/in"),
    ask("DELETE", "/connectors/in"),
    ask("DELETE", "/connectors/new"),
    ask("DELETE", "/connectors/held"),
    ask("GET", "/connectors"),

    ask("GET", "/connectors/no"),
    ask("GET", "/connectors/no/config"),
    ask("GET", "/connectors/no/status"),
    ask("GET", "/connectors/no/tasks"),
    ask("GET", "/connectors/no/tasks-config"),
    ask("GET", "/connectors/no/tasks/0/status"),
    ask("GET", "/connectors/no/offsets"),
    ask("GET", "/connectors/no/topics"),
    ask("PUT", "/connectors/no/topics/reset"),
    send("PATCH", "/connectors/no/offsets", "", r#"{"offsets": [{"partition": {"filename": "x"}, "offset": {"position": 0}}]}"#),
    ask("DELETE", "/connectors/no/offsets"),
    ask("PUT", "/connectors/no/pause"),
    ask("PUT", "/connectors/no/resume"),
    ask("PUT", "/connectors/no/stop"),
    ask("POST", "/connectors/no/restart"),
    ask("POST", "/connectors/no/restart?includeTasks=true"),
    ask("POST", "/connectors/no/tasks/0/restart"),
    send("PATCH", "/connectors/no/config", "", r#"{"tasks.max": "2"}"#),
    ask("GET", "/nowhere"),
    ask("DELETE", "/connectors"),
    ask("PUT", "/connector-plugins"),
    ask("GET", "/connectors/no/pause"),
    ask("POST", "/connectors/no/pause"),
];

//! Jobs over real topics: what a sink writes, what a source reads, and where it begins.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "support/addresses.rs"]
mod addresses;
#[path = "support/up.rs"]
mod up;

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use up::Up;

/// How long a job may take to write what it was given.
const PATIENCE: Duration = Duration::from_secs(60);

/// A house with a folder of its own, which is gone with it.
struct Place {
    house: Up,
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Place {
            house: Up::start(&folder.path().join("data"), &[]),
            folder,
        }
    }

    fn json(&self, arguments: &[&str]) -> String {
        self.house.ask(&[&["--output", "json"], arguments].concat())
    }

    /// Starts a script as the job of this name, and returns what the command says.
    fn run(&self, name: &str, script: &str) -> String {
        let file = self.folder.path().join(format!("{name}.sql"));
        std::fs::write(&file, script).expect("the folder is writable");
        self.json(&["run", text(&file)])
    }

    fn produce(&self, topic: &str, bodies: &[&str]) {
        self.house.ask(&[&["produce", topic], bodies].concat());
    }

    /// Messages of a topic as soon as there are so many.
    #[track_caller]
    fn messages(&self, topic: &str, count: usize) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let said = self.json(&["consume", topic, "--drain"]);
            let lines: Vec<String> = said.lines().map(str::to_owned).collect();
            if lines.len() >= count || begun.elapsed() > PATIENCE {
                assert_eq!(lines.len(), count, "{topic}: {said}");
                return lines;
            }
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

/// A member of a message as `consume` prints it.
fn member(name: &str, value: &str) -> String {
    format!("{name:?}:{value:?}")
}

#[track_caller]
fn has(message: &str, members: &[(&str, &str)]) {
    for (name, value) in members {
        let member = member(name, value);
        assert!(message.contains(&member), "no {member} in {message}");
    }
}

const HITS: &str = "
CREATE TABLE hits (page STRING, visitor STRING, ms BIGINT)
  WITH ('connector' = 'rocketmq', 'topic' = 'hits', 'format' = 'json');
";

#[test]
fn changes_in_a_topic_name_their_row_and_a_deletion_is_a_tombstone() {
    let place = Place::new();
    // The second aggregation withdraws a row: a count that no page has any more.
    place.run(
        "counts",
        &format!(
            "{HITS}
             CREATE TABLE counts (n BIGINT, pages BIGINT, PRIMARY KEY (n) NOT ENFORCED)
               WITH ('connector' = 'rocketmq', 'topic' = 'counts', 'format' = 'json');
             INSERT INTO counts SELECT n, COUNT(*) FROM
               (SELECT page, COUNT(*) AS n FROM hits GROUP BY page) GROUP BY n;"
        ),
    );
    let hit = r#"{"page":"/a"}"#;
    place.produce("hits", &[hit]);
    let first = place.messages("counts", 1);
    has(
        &first[0],
        &[
            ("body", r#"{"n":1,"pages":1}"#),
            ("KEYS", "1"),
            ("MILLSTREAM_KEY", r#"{"n":1}"#),
        ],
    );
    assert!(!first[0].contains("MILLSTREAM_OP"), "{}", first[0]);
    place.produce("hits", &[hit]);
    let all = place.messages("counts", 3);
    let tombstones: Vec<_> = all
        .iter()
        .filter(|message| message.contains("MILLSTREAM_OP"))
        .collect();
    assert_eq!(tombstones.len(), 1, "{all:?}");
    has(
        tombstones[0],
        &[
            ("body", ""),
            ("KEYS", "1"),
            ("MILLSTREAM_KEY", r#"{"n":1}"#),
            ("MILLSTREAM_OP", "DELETE"),
        ],
    );

    // Read back as rows, the tombstone is none, and says so.
    place.run(
        "reader",
        "SET 'errors.undecodable' = 'dead-letter';
         CREATE TABLE counts (n BIGINT, pages BIGINT)
           WITH ('connector' = 'rocketmq', 'topic' = 'counts', 'format' = 'json');
         CREATE TABLE copy (n BIGINT, pages BIGINT)
           WITH ('connector' = 'rocketmq', 'topic' = 'copy', 'format' = 'json');
         INSERT INTO copy SELECT n, pages FROM counts;",
    );
    place.messages("copy", 2);
    let letter = place.messages("reader_dead_letters", 1);
    has(&letter[0], &[("MILLSTREAM_ERROR", "undecodable")]);
    assert!(
        letter[0].contains("it is a tombstone, the deletion of"),
        "{}",
        letter[0]
    );
    place.house.stop();
}

#[test]
fn csv_goes_through_topics_both_ways_and_keys_and_tags_beside_it() {
    let place = Place::new();
    place.run(
        "csv",
        "CREATE TABLE lines (id BIGINT, name STRING, tag STRING METADATA FROM 'tags' VIRTUAL,
                             `queue` INT METADATA VIRTUAL)
           WITH ('connector' = 'rocketmq', 'topic' = 'lines', 'format' = 'csv');
         CREATE TABLE names (name STRING, id BIGINT, tag STRING METADATA FROM 'tags', `keys` STRING METADATA)
           WITH ('connector' = 'rocketmq', 'topic' = 'names', 'format' = 'csv', 'csv.field-delimiter' = ';');
         INSERT INTO names SELECT UPPER(name), id + 1, tag, CONCAT('id-', CAST(id AS STRING))
           FROM lines WHERE `queue` >= 0;",
    );
    place
        .house
        .ask(&["produce", "lines", "--tag", "blue", r#"7,"a;b""#]);
    let messages = place.messages("names", 1);
    has(
        &messages[0],
        &[("body", r#""A;B";8"#), ("TAGS", "blue"), ("KEYS", "id-7")],
    );
    place.house.stop();
}

/// A copy of `hits` in this topic, which begins where these options say.
fn copy(to: &str, options: &str) -> String {
    format!(
        "CREATE TABLE hits (page STRING)
           WITH ('connector' = 'rocketmq', 'topic' = 'hits', 'format' = 'json', {options});
         CREATE TABLE copy (page STRING)
           WITH ('connector' = 'rocketmq', 'topic' = '{to}', 'format' = 'json');
         INSERT INTO copy SELECT page FROM hits;"
    )
}

#[test]
fn a_source_begins_at_the_end_or_where_its_group_is_or_at_a_message_or_a_time() {
    let place = Place::new();
    place
        .house
        .ask(&["topic", "create", "hits", "--queues", "1"]);
    place.produce("hits", &[r#"{"page":"/1"}"#, r#"{"page":"/2"}"#]);
    place
        .house
        .ask(&["consume", "hits", "--group", "readers", "--count", "1"]);
    let group = "'scanStartupMode' = 'group-offsets', 'consumerGroup' = 'readers'";
    place.run("latest", &copy("latest", "'scanStartupMode' = 'latest'"));
    place.run("group", &copy("group", group));
    place.run("message", &copy("message", "'startMessageOffset' = '1'"));
    let time = "'startTime' = '2024-01-01 00:00:00', 'timeZone' = 'GMT+8'";
    place.run("time", &copy("time", time));
    for topic in ["group", "message"] {
        let second = place.messages(topic, 1);
        has(&second[0], &[("body", r#"{"page":"/2"}"#)]);
    }
    place.messages("time", 2);
    place.produce("hits", &[r#"{"page":"/3"}"#]);
    let third = place.messages("latest", 1);
    has(&third[0], &[("body", r#"{"page":"/3"}"#)]);
    place.house.stop();
}

#[test]
fn flinks_options_name_the_columns_of_tag_and_keys() {
    let place = Place::new();
    place.run(
        "flink",
        "CREATE TABLE lines (id BIGINT, name STRING, kind STRING)
           WITH ('connector' = 'rocketmq', 'topic' = 'lines', 'format' = 'csv', 'fieldDelimiter' = ';');
         CREATE TABLE names (id BIGINT, name STRING, kind STRING)
           WITH ('connector' = 'rocketmq', 'topic' = 'names', 'format' = 'json', 'tag' = 'none',
                 'keyColumns' = 'id, kind', 'isDynamicTag' = 'true', 'dynamicTagColumn' = 'kind');
         INSERT INTO names SELECT id, name, NULLIF(kind, 'unknown') FROM lines;",
    );
    place.produce("lines", &["7;a,b;blue"]);
    let messages = place.messages("names", 1);
    let body = r#"{"name":"a,b"}"#;
    has(
        &messages[0],
        &[("body", body), ("TAGS", "blue"), ("KEYS", "7 blue")],
    );
    place.produce("lines", &["8;c;unknown"]);
    let messages = place.messages("names", 2);
    let unknown = messages
        .iter()
        .find(|message| message.contains(&member("KEYS", "8")));
    has(unknown.expect("a second message"), &[("TAGS", "none")]);
    place.house.stop();
}

#[test]
fn dead_letters_are_the_messages_as_they_came_and_a_blackhole_takes_the_rest() {
    let place = Place::new();
    place
        .house
        .ask(&["topic", "create", "timed", "--queues", "1"]);
    place.run(
        "nothing",
        "SET 'errors.undecodable' = 'dead-letter';
         SET 'errors.late' = 'dead-letter';
         CREATE TABLE timed (page STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
           WITH ('connector' = 'rocketmq', 'topic' = 'timed', 'format' = 'json');
         CREATE TABLE nowhere (page STRING, n BIGINT) WITH ('connector' = 'blackhole');
         INSERT INTO nowhere SELECT page, COUNT(*)
           FROM TABLE(TUMBLE(TABLE timed, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
           GROUP BY page, window_start, window_end;",
    );
    place.produce(
        "timed",
        &[
            r#"{"page":"/a","ts":"2024-01-01 12:00:00"}"#,
            "no {JSON\u{e9}",
        ],
    );
    let undecodable = place.messages("nothing_dead_letters", 1);
    has(
        &undecodable[0],
        &[
            ("body", "no {JSON\u{e9}"),
            ("MILLSTREAM_ERROR", "undecodable"),
            ("MILLSTREAM_ERROR_AT", "timed"),
            ("MILLSTREAM_ORIGIN_QUEUE", "timed/0"),
            ("MILLSTREAM_ORIGIN_OFFSET", "1"),
        ],
    );
    let late = r#"{ "ts": "2024-01-01 11:00:00",  "page": "/b", "more": 1 }"#;
    place.produce("timed", &[late]);
    let letters = place.messages("nothing_dead_letters", 2);
    let letter = letters
        .iter()
        .find(|letter| !letter.contains("undecodable"));
    has(
        letter.expect("a second letter"),
        &[
            ("body", late),
            ("MILLSTREAM_ERROR", "late"),
            (
                "MILLSTREAM_ERROR_WHY",
                "the watermark 2024-01-01T12:00:00 has closed the window of its event time \
                 2024-01-01T11:00:00",
            ),
            ("MILLSTREAM_ORIGIN_QUEUE", "timed/0"),
            ("MILLSTREAM_ORIGIN_OFFSET", "2"),
        ],
    );
    place.json(&["job", "stop", "nothing", "--drain"]);
    let topics = place.json(&["topic", "list"]);
    assert!(!topics.contains("nowhere"), "{topics}");
    let job = place.json(&["job", "describe", "nothing"]);
    assert!(job.contains("\"dead letters\": 2"), "{job}");
    assert!(job.contains("\"rows_out\": 0"), "{job}");
    place.house.stop();
}

#[test]
fn a_script_is_explained_and_run_at_once() {
    let place = Place::new();
    let explain = format!("{HITS} EXPLAIN SELECT page, COUNT(*) FROM hits GROUP BY page;");
    let said = place.run("asks", &explain);
    assert!(said.contains("\"explained\":"), "{said}");
    assert!(!said.contains("\"state\":"), "{said}");
    assert!(!place.json(&["job", "list"]).contains("asks"));

    let both = format!(
        "{explain}
         CREATE TABLE nowhere (page STRING) WITH ('connector' = 'blackhole');
         INSERT INTO nowhere SELECT page FROM hits;"
    );
    let said = place.run("both", &both);
    assert!(said.contains("\"explained\":"), "{said}");
    assert!(said.contains("\"state\": \"running\""), "{said}");
    place.house.stop();
}

//! A real PostgreSQL gets rows: every type, refused ones found, positions kept with them, and
//! each record once whatever is killed.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod support;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use bytes::Bytes;
use connect_sdk::conformance::{description_is_consistent, sink_names_what_it_was_given};
use connect_sdk::{
    Connector, Context, Error, Finding, Options, Positions, Records, Sink, SinkBatch, Takes,
    TaskOptions,
};
use connector_postgres::PostgresSink;
use format::{Decoder, Format};
use runtime::{Clock, Net, Rng, SimDisk, Tasks};
use support::Cluster;
use tokio_postgres::Client;

/// One server for the tests that do not kill it.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(Cluster::start)
}

fn context(generation: u64) -> Context {
    Context {
        connector: "out".into(),
        task: 0,
        generation,
        disk: SimDisk::new(Rng::seeded(1)).mount(),
        clock: Clock::real(),
        net: Net::real(),
        rng: Rng::seeded(1),
        tasks: Tasks::new(Clock::real()),
    }
}

fn options(url: &str, pairs: &[(&str, &str)]) -> Options {
    let mut given: BTreeMap<String, String> = pairs
        .iter()
        .map(|(k, v)| ((*k).into(), (*v).into()))
        .collect();
    given.insert("url".into(), url.into());
    let (options, findings) = Options::check(PostgresSink.describe().options, &given);
    assert_eq!(findings, vec![]);
    options
}

async fn try_open(options: &Options, generation: u64) -> Result<Box<dyn Sink>, Error> {
    let task = TaskOptions {
        options: options.clone(),
        part: String::new(),
    };
    let mut sink = PostgresSink.sink(task, context(generation)).await?;
    sink.position().await?;
    Ok(sink)
}

async fn open(options: &Options) -> Box<dyn Sink> {
    try_open(options, 1).await.expect("it opens")
}

/// Rows as the sink wants them, from JSON.
fn batch(sink: &dyn Sink, queue: u32, first: u64, bodies: &[String]) -> SinkBatch {
    let Takes::Columns(Some(schema)) = sink.takes() else {
        panic!("this sink knows its columns")
    };
    let mut decoder =
        Decoder::new(Format::Json, schema, format::Options::default()).expect("plain types");
    let bodies: Vec<Bytes> = bodies
        .iter()
        .map(|body| Bytes::copy_from_slice(body.as_bytes()))
        .collect();
    let (rows, undecodable) = decoder.decode(&bodies);
    assert_eq!(undecodable, vec![]);
    let next = first + rows.num_rows() as u64;
    SinkBatch {
        topic: "t".into(),
        queue,
        records: Records::Columns(rows),
        offsets: (first..next).collect(),
        first,
        next,
    }
}

async fn write(sink: &mut Box<dyn Sink>, first: u64, bodies: &[&str]) -> Vec<(usize, String)> {
    let bodies: Vec<String> = bodies.iter().map(|body| (*body).to_owned()).collect();
    let refused = sink
        .write(batch(sink.as_ref(), 0, first, &bodies))
        .await
        .expect("the rows are taken");
    refused
        .into_iter()
        .map(|refused| (refused.row, refused.why))
        .collect()
}

async fn column(client: &Client, sql: &str) -> Vec<String> {
    let rows = client.query(sql, &[]).await.expect("the query runs");
    rows.iter()
        .map(|row| row.get::<_, Option<String>>(0).unwrap_or("NULL".into()))
        .collect()
}

#[test]
fn the_description_keeps_the_rules() {
    description_is_consistent(&PostgresSink);
}

#[tokio::test]
async fn every_type_arrives_as_it_was_written() {
    let client = cluster().database("types").await;
    client
        .batch_execute(
            "CREATE TYPE mood AS ENUM ('glad', 'sad'); CREATE TABLE t (i smallint, n numeric(30, 10), f real, d double precision, b boolean, \
             s varchar(20), at timestamp, z timestamptz, day date, j jsonb, bin bytea, u uuid, m mood, l integer[])",
        )
        .await
        .expect("the table is made");
    let mut sink = open(&options(&cluster().url("types"), &[("table", "t")])).await;
    let refused = write(
        &mut sink,
        0,
        &[
            r#"{"i":-7,"n":12345678901234567890.0123456789,"f":0.1,"d":1e300,"b":true,"s":"it's \"q\" \\ é","at":"2001-01-01 00:47:00.25",
                "z":"2001-01-01T02:47:00+02:00","day":"1999-12-31","j":{"a":[1,null]},"bin":"AP8=","u":"6f1ed002-ab5c-4b9e-8f8a-0c7c5a1d2e3f","m":"sad","l":"{1,2}"}"#,
            r#"{"f":"NaN","d":"Infinity","s":""}"#,
        ],
    )
    .await;
    assert_eq!(refused, vec![]);
    sink.flush().await.expect("it commits");
    let sql = "SELECT concat_ws('|', i, n, f, d, b, s, at, z AT TIME ZONE 'UTC', day, j, bin, u, m, l) FROM t ORDER BY i NULLS LAST";
    assert_eq!(
        column(&client, sql).await,
        [
            "-7|12345678901234567890.0123456789|0.1|1e+300|t|it's \"q\" \\ é|2001-01-01 00:47:00.25|2001-01-01 00:47:00|1999-12-31|{\"a\": [1, null]}|\\x00ff|6f1ed002-ab5c-4b9e-8f8a-0c7c5a1d2e3f|sad|{1,2}",
            "NaN|Infinity|",
        ]
    );
}

#[tokio::test]
async fn a_schema_makes_the_table_and_names_the_types() {
    let client = cluster().database("made").await;
    let options = options(
        &cluster().url("made"),
        &[
            ("table", "public.Flights"),
            ("table.create", "true"),
            (
                "schema",
                "id BIGINT, at TIMESTAMP(3), price DECIMAL(10, 2), city STRING NOT NULL",
            ),
            ("mode", "upsert"),
            ("key", "id"),
        ],
    );
    assert_eq!(PostgresSink.check(&options), vec![]);
    assert_eq!(PostgresSink.probe(&options, &context(1)).await, vec![]);
    let mut sink = open(&options).await;
    write(
        &mut sink,
        0,
        &[r#"{"id":1,"at":"2001-01-01 00:47:00.25","price":1.5,"city":"x"}"#],
    )
    .await;
    sink.flush().await.expect("it commits");
    let described = "SELECT attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END \
        FROM pg_attribute WHERE attrelid = '\"Flights\"'::regclass AND attnum > 0 ORDER BY attnum";
    assert_eq!(
        column(&client, described).await,
        [
            "id bigint NOT NULL",
            "at timestamp(3) without time zone",
            "price numeric(10,2)",
            "city text NOT NULL"
        ]
    );
    assert_eq!(
        column(
            &client,
            "SELECT concat_ws('|', id, at, price, city) FROM \"Flights\""
        )
        .await,
        ["1|2001-01-01 00:47:00.25|1.50|x"]
    );
}

#[tokio::test]
async fn upsert_leaves_the_last_row_of_a_key() {
    let client = cluster().database("upserts").await;
    client
        .batch_execute("CREATE TABLE t (a int, b int, v text, PRIMARY KEY (a, b))")
        .await
        .expect("the table is made");
    let mut sink = open(&options(
        &cluster().url("upserts"),
        &[("table", "t"), ("mode", "upsert")],
    ))
    .await;
    let rows = |values: &[&str]| {
        values
            .iter()
            .map(|v| format!("{{\"a\":1,\"b\":1,\"v\":\"{v}\"}}"))
            .collect::<Vec<_>>()
    };
    sink.write(batch(sink.as_ref(), 0, 0, &rows(&["x", "y"])))
        .await
        .expect("taken");
    write(
        &mut sink,
        2,
        &[r#"{"a":1,"b":2,"v":"other"}"#, r#"{"a":1,"b":1,"v":"z"}"#],
    )
    .await;
    sink.flush().await.expect("it commits");
    assert_eq!(
        column(
            &client,
            "SELECT concat_ws('|', a, b, v) FROM t ORDER BY a, b"
        )
        .await,
        ["1|1|z", "1|2|other"]
    );
}

#[tokio::test]
async fn refused_rows_come_back_one_by_one_in_postgresqls_words() {
    let client = cluster().database("refused").await;
    client
        .batch_execute(
            "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1); \
             CREATE TABLE t (id int PRIMARY KEY, s varchar(3) NOT NULL, p int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
        )
        .await
        .expect("the tables are made");
    let options = options(
        &cluster().url("refused"),
        &[
            ("table", "t"),
            ("schema", "id STRING, s STRING, p INT"),
            ("batch.rows", "5"),
        ],
    );
    let mut sink = open(&options).await;
    let refused = write(
        &mut sink,
        0,
        &[
            r#"{"id":1,"s":"a"}"#,
            r#"{"id":"x","s":"a"}"#,
            r#"{"id":2,"s":"long"}"#,
            r#"{"id":3,"s":null}"#,
            r#"{"id":1,"s":"b"}"#,
            r#"{"id":4,"s":"c","p":9}"#,
            r#"{"id":5,"s":"d","p":1}"#,
        ],
    )
    .await;
    assert_eq!(
        refused,
        [
            (1, "invalid input syntax for type integer: \"x\" (SQLSTATE 22P02)".to_owned()),
            (2, "value too long for type character varying(3) (SQLSTATE 22001)".to_owned()),
            (3, "null value in column \"s\" of relation \"t\" violates not-null constraint: Failing row contains (3, null, null). (SQLSTATE 23502)".to_owned()),
            (4, "duplicate key value violates unique constraint \"t_pkey\": Key (id)=(1) already exists. (SQLSTATE 23505)".to_owned()),
            (5, "insert or update on table \"t\" violates foreign key constraint \"t_p_fkey\": Key (p)=(9) is not present in table \"parent\". (SQLSTATE 23503)".to_owned()),
        ]
    );
    sink.flush().await.expect("it commits");
    assert_eq!(
        column(
            &client,
            "SELECT concat_ws('|', id, s, p) FROM t ORDER BY id"
        )
        .await,
        ["1|a", "5|d|1"]
    );
}

#[tokio::test]
async fn positions_are_named_by_a_flush_and_found_by_the_next_task() {
    let client = cluster().database("positions").await;
    client
        .batch_execute("CREATE TABLE t (n int)")
        .await
        .expect("the table is made");
    let options = options(&cluster().url("positions"), &[("table", "t")]);
    let mut sink = open(&options).await;
    let rows = |from: u64, to: u64| {
        (from..to)
            .map(|n| format!("{{\"n\":{n}}}"))
            .collect::<Vec<_>>()
    };
    let batches = vec![
        batch(sink.as_ref(), 0, 0, &rows(0, 3)),
        batch(sink.as_ref(), 1, 10, &rows(10, 12)),
    ];
    sink_names_what_it_was_given(sink.as_mut(), batches).await;
    // Written and not flushed: gone with the connection.
    write(&mut sink, 3, &["{\"n\":3}"]).await;
    drop(sink);
    let mut next = try_open(&options, 2).await.expect("it opens");
    let mut expected = Positions::of_queue("t", 0, 3);
    expected.set_queue("t", 1, 12);
    assert_eq!(
        next.position().await.expect("the table is read"),
        Some(expected)
    );
    assert_eq!(column(&client, "SELECT count(*)::text FROM t").await, ["5"]);
}

#[tokio::test]
async fn an_older_owner_writes_nothing_that_counts() {
    let client = cluster().database("fenced").await;
    client
        .batch_execute("CREATE TABLE t (n int)")
        .await
        .expect("the table is made");
    let options = options(&cluster().url("fenced"), &[("table", "t")]);
    let mut old = try_open(&options, 1).await.expect("it opens");
    let mut new = try_open(&options, 2).await.expect("it opens");
    write(&mut new, 0, &["{\"n\":0}"]).await;
    new.flush().await.expect("it commits");
    write(&mut old, 0, &["{\"n\":0}"]).await;
    let error = old.flush().await.expect_err("it is too late");
    assert!(matches!(error, Error::Fenced { .. }), "{error}");
    drop(old);
    assert_eq!(column(&client, "SELECT count(*)::text FROM t").await, ["1"]);
    // One of the same generation, found at the same place, is too late too.
    let mut twin = try_open(&options, 2).await.expect("it opens");
    write(&mut new, 1, &["{\"n\":1}"]).await;
    new.flush().await.expect("it commits");
    write(&mut twin, 1, &["{\"n\":1}"]).await;
    let error = twin.flush().await.expect_err("it is too late");
    assert!(matches!(error, Error::Transient { .. }), "{error}");
    drop(twin);
    assert_eq!(column(&client, "SELECT count(*)::text FROM t").await, ["2"]);
}

async fn probed(pairs: &[(&str, &str)], url: &str) -> String {
    let findings = PostgresSink.probe(&options(url, pairs), &context(1)).await;
    findings
        .iter()
        .map(Finding::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

#[tokio::test]
async fn a_probe_tells_what_would_fail_and_changes_nothing() {
    let client = cluster().database("probed").await;
    client
        .batch_execute("CREATE TABLE t (id int, city text); CREATE ROLE guest LOGIN; GRANT SELECT ON t TO guest")
        .await
        .expect("the table is made");
    let url = cluster().url("probed");
    assert_eq!(probed(&[("table", "t")], &url).await, "");
    assert_eq!(
        probed(&[("table", "nowhere")], &url).await,
        "table: table nowhere does not exist (create it, or set table.create to true)"
    );
    assert_eq!(
        probed(&[("table", "t"), ("schema", "id INT, citty STRING")], &url).await,
        "table: table \"t\" has no column \"citty\" (did you mean \"city\"?)"
    );
    assert_eq!(
        probed(&[("table", "t"), ("mode", "upsert")], &url).await,
        "table: mode upsert needs a key, and table \"t\" has no primary key (set key to columns with a unique index)"
    );
    assert!(
        probed(&[("table", "t"), ("mode", "upsert"), ("key", "id")], &url)
            .await
            .contains("SQLSTATE 42P10")
    );
    assert_eq!(
        probed(&[("table", "t")], &url.replace("tester@", "guest@")).await,
        "url: the user may not INSERT in table \"t\" (GRANT INSERT ON \"t\" TO that user)"
    );
    assert!(
        probed(&[("table", "t")], &url.replace("probed", "no_such_db"))
            .await
            .contains("database \"no_such_db\" does not exist (SQLSTATE 3D000)")
    );
    assert!(
        probed(&[("table", "t")], &url.replace("tester@", "nobody@"))
            .await
            .starts_with("url: logging in to PostgreSQL at 127.0.0.1:")
    );
    // What a check has told already is not told again in other words.
    let wrong_key = [
        ("table", "t"),
        ("mode", "upsert"),
        ("key", "ID"),
        ("schema", "id INT"),
    ];
    assert_eq!(probed(&wrong_key, &url).await, "");
    assert_eq!(probed(&[("table", "t")], "nonsense").await, "");
    let findings = PostgresSink
        .probe(
            &options("postgres://tester@127.0.0.1:1/x", &[("table", "t")]),
            &context(1),
        )
        .await;
    assert!(
        !findings[0].is_error()
            && findings[0]
                .message
                .starts_with("PostgreSQL at 127.0.0.1:1 cannot be reached"),
        "{}",
        findings[0]
    );
    let tables = column(&client, "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace").await;
    assert_eq!(tables, ["t"]);
}

#[test]
fn options_that_do_not_fit_are_found_before_anything_runs() {
    let check = |url: &str, pairs: &[(&str, &str)]| {
        let findings = PostgresSink.check(&options(url, pairs));
        findings
            .iter()
            .map(Finding::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    };
    assert!(
        check("postgres://u:hush@h/db?nonsense=1", &[("table", "t")])
            .starts_with("url: option url cannot be read")
    );
    assert!(!check("postgres://u:hush@h:x/db", &[("table", "t")]).contains("hush"));
    assert!(check("postgres://u@h/db?sslmode=require", &[("table", "t")]).contains("asks for TLS"));
    let create = [("table", "t"), ("table.create", "true"), ("mode", "upsert")];
    assert_eq!(
        check("postgres://u@h/db", &create),
        "schema: table.create needs to know the columns (set schema, as in schema = \"id BIGINT, name STRING\"); \
         key: a table made for mode upsert needs a key (set key to the columns that tell rows apart)"
    );
}

const QUEUES: u32 = 2;
const RECORDS: u64 = 400;

/// Delivers from where the table says up to `end` in every queue, in batches and flushes drawn
/// from the seed. What was written last is not yet flushed, and the sink comes back with it.
async fn deliver_up_to(
    end: u64,
    options: &Options,
    generation: u64,
    rng: &Rng,
) -> Result<Box<dyn Sink>, Error> {
    let mut sink = try_open(options, generation).await?;
    let kept = sink.position().await?.unwrap_or_default();
    let mut next: Vec<u64> = (0..QUEUES)
        .map(|queue| kept.queue("t", queue).unwrap_or(0))
        .collect();
    while next.iter().any(|next| *next < end) {
        let queue = rng.range(0..u64::from(QUEUES)) as u32;
        let first = next[queue as usize];
        let behind = (first + rng.range(1..20)).min(end);
        if first >= behind {
            continue;
        }
        let bodies: Vec<String> = (first..behind)
            .map(|n| format!("{{\"q\":{queue},\"n\":{n}}}"))
            .collect();
        let written = batch(sink.as_ref(), queue, first, &bodies);
        sink.write(written).await?;
        next[queue as usize] = behind;
        if next.iter().any(|next| *next < end) && rng.chance(0.4) {
            sink.flush().await?;
        }
    }
    Ok(sink)
}

/// Delivers everything.
async fn deliver(options: &Options, generation: u64, rng: &Rng) -> Result<(), Error> {
    let mut sink = deliver_up_to(RECORDS, options, generation, rng).await?;
    sink.flush().await.map(drop)
}

async fn each_once(client: &Client) {
    let sql = "SELECT concat_ws('|', q, count(*), count(DISTINCT n), min(n), max(n)) FROM t GROUP BY q ORDER BY q";
    assert_eq!(
        column(client, sql).await,
        ["0|400|400|0|399", "1|400|400|0|399"]
    );
}

#[tokio::test]
async fn connections_cut_at_any_moment_lose_and_repeat_nothing() {
    let client = cluster().database("cut").await;
    client
        .batch_execute("CREATE TABLE t (q int, n int)")
        .await
        .expect("the table is made");
    let options = options(&cluster().url("cut"), &[("table", "t")]);
    let rng = Rng::seeded(11);
    let ask = async |sql: &str| {
        let rows = client.query(sql, &[]).await;
        rows.expect("this connection is left alone").len()
    };
    const ROUNDS: u64 = 12;
    const OURS: &str =
        "FROM pg_stat_activity WHERE application_name = 'millstream' AND datname = 'cut'";
    for generation in 1..=ROUNDS {
        // Each round has something left to write, and cannot end before it is cut.
        let delivery = async {
            let end = generation * RECORDS / (ROUNDS + 1);
            let mut sink = match deliver_up_to(end, &options, generation, &rng).await {
                Ok(sink) => sink,
                Err(cut) => return cut,
            };
            loop {
                if let Err(cut) = sink.position().await {
                    return cut;
                }
            }
        };
        // Again and again: what is seen first may be the round before, not quite gone.
        let cutting = async {
            loop {
                while ask(&format!("SELECT {OURS} AND backend_xid IS NOT NULL")).await == 0 {}
                for _ in 0..rng.range(0..20) {
                    ask("SELECT").await;
                }
                ask(&format!("SELECT pg_terminate_backend(pid) {OURS}")).await;
            }
        };
        let error = tokio::select! {
            error = delivery => error,
            () = cutting => unreachable!("it cuts for ever"),
        };
        assert!(matches!(error, Error::Transient { .. }), "{error}");
    }
    deliver(&options, ROUNDS + 1, &rng)
        .await
        .expect("nothing is cut any more");
    each_once(&client).await;
}

#[tokio::test]
async fn a_server_killed_in_the_middle_ends_with_each_row_once() {
    let mut cluster = Cluster::start();
    let client = cluster.database("killed").await;
    client
        .batch_execute("CREATE TABLE t (q int, n int)")
        .await
        .expect("the table is made");
    drop(client);
    let options = options(&cluster.url("killed"), &[("table", "t")]);
    let rng = Rng::seeded(5);
    for generation in 1..4 {
        let url = cluster.url("killed");
        let delivery = deliver(&options, generation, &rng);
        let part = tokio::select! {
            delivered = delivery => delivered,
            () = at_least(&url, generation * 100) => Ok(()),
        };
        part.expect("nothing fails before the kill");
        cluster.kill();
        let error = try_open(&options, generation)
            .await
            .err()
            .expect("nobody is there");
        assert!(matches!(error, Error::Transient { .. }), "{error}");
        cluster.run();
    }
    deliver(&options, 9, &rng)
        .await
        .expect("nothing is killed any more");
    each_once(&cluster.client("killed").await).await;
}

/// Resolves once so many rows are committed.
async fn at_least(url: &str, rows: u64) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .expect("it takes connections");
    tokio::spawn(connection);
    loop {
        let count: i64 = client
            .query_one("SELECT count(*) FROM t", &[])
            .await
            .expect("it counts")
            .get(0);
        if count.unsigned_abs() >= rows {
            return;
        }
        tokio::task::yield_now().await;
    }
}

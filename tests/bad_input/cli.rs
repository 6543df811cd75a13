//! What comes through the command line, and through files that it is given.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::addresses::free_addresses;
use crate::table::Table;
use crate::up::Up;

/// What a command that fails says, with why and what to do, and its exit code.
fn fails(house: &Up, arguments: &[&str]) -> String {
    let output = house.command(arguments).output();
    let output = output.expect("the command runs");
    assert!(!output.status.success(), "{arguments:?} went well");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    for part in ["why", "fix"] {
        let given = [format!("\n  {part}: "), format!("\"{part}\":\"")]
            .iter()
            .any(|start| {
                said.split_once(start)
                    .is_some_and(|(_, text)| !text.starts_with('"'))
            });
        assert!(given, "{arguments:?} does not say its {part}: {said}");
    }
    format!("{said}\nexit {}", output.status.code().unwrap_or(-1))
}

pub fn sql(house: &Up, table: &mut Table) {
    let declared = "CREATE TABLE t (a BIGINT, b STRING) WITH ('connector' = 'rocketmq', 'topic' = 'rows', 'format' = 'json');\n\
        CREATE TABLE o (a BIGINT) WITH ('connector' = 'rocketmq', 'topic' = 'o', 'format' = 'json');\n";
    let cases = [
        ("a word that is misspelled", "SELEC 1;"),
        (
            "a column that does not exist",
            "INSERT INTO o SELECT aa FROM t;",
        ),
        ("a type that does not fit", "INSERT INTO o SELECT b FROM t;"),
        (
            "an unbounded state",
            "INSERT INTO o SELECT t.a FROM t JOIN t AS u ON t.a = u.a;",
        ),
        ("no INSERT", ""),
    ];
    for (sent, statement) in cases {
        let file = table.file("bad.sql", format!("{declared}{statement}").as_bytes());
        let shown = format!("{sent}: `{statement}`");
        table.row("SQL text", &shown, &fails(house, &["run", &file]));
    }
    let twice = table.file("two.sql", b"SELEC 1;\nCREATE TABLE t (a BIGIN) WITH ();");
    table.row("SQL text", "two mistakes", &fails(house, &["run", &twice]));
    let text = table.file("bytes.sql", &[0xff, 0xfe, 0]);
    table.row(
        "SQL text",
        "bytes that are no text",
        &fails(house, &["run", &text]),
    );
}

pub fn modules(house: &Up, table: &mut Table) {
    let magic = b"\0asm\x01\0\0\0";
    // (module (import "env" "abort" (func)))
    let import = b"\x01\x04\x01\x60\0\0\x02\x0d\x01\x03env\x05abort\0\0";
    let cases: [(&str, Vec<u8>); 5] = [
        ("nothing", Vec::new()),
        ("text", b"(module)".to_vec()),
        ("a module cut short", [&magic[..], &import[..4]].concat()),
        (
            "a module that imports `env.abort`",
            [&magic[..], import].concat(),
        ),
        ("a module that exports nothing", magic.to_vec()),
    ];
    for (sent, bytes) in cases {
        let file = table.file("bad.wasm", &bytes);
        table.row(
            "WASM module",
            sent,
            &fails(house, &["function", "check", &file]),
        );
    }
    let script = "CREATE FUNCTION f(a BIGINT) RETURNS BIGINT LANGUAGE wasm AS 'bad.wasm';\n\
        CREATE TABLE t (a BIGINT) WITH ('connector' = 'rocketmq', 'topic' = 'rows', 'format' = 'json');\n\
        CREATE TABLE o (a BIGINT) WITH ('connector' = 'rocketmq', 'topic' = 'o', 'format' = 'json');\n\
        INSERT INTO o SELECT f(a) FROM t;";
    let file = table.file("function.sql", script.as_bytes());
    table.row(
        "WASM module",
        "the last one, in `CREATE FUNCTION`",
        &fails(house, &["run", &file]),
    );
}

pub fn connectors(house: &Up, table: &mut Table) {
    let cases = [
        (
            "one option missing, one misspelled",
            "name = \"c\"\nconnector.class = \"file-source\"\ntopic = \"t\"\npahts = \"x\"\n",
        ),
        (
            "a connector that does not exist",
            "name = \"c\"\nconnector.class = \"flie-source\"\n",
        ),
        (
            "values of the wrong kind",
            "name = \"c\"\nconnector.class = \"datagen-source\"\ntopic = \"t\"\nschema = \"a BIGIN\"\nrows = \"many\"\ntasks.max = \"0\"\n",
        ),
    ];
    for (sent, text) in cases {
        let file = table.file("bad.toml", text.as_bytes());
        table.row(
            "connector options",
            sent,
            &fails(house, &["connector", "apply", &file]),
        );
    }
    // What is no connector's file yet cannot always be mended in one way.
    let cases = [
        ("TOML that is broken", "name = \"c\nconnector.class = 1\n"),
        (
            "no name",
            "connector.class = \"blackhole-sink\"\ntopics = \"t\"\n",
        ),
    ];
    for (sent, text) in cases {
        let file = table.file("bad.toml", text.as_bytes());
        table.row(
            "connector options",
            sent,
            &fails(house, &["connector", "apply", &file]),
        );
    }
}

/// Asks for a status until it names a failure.
pub fn failure(house: &Up, arguments: &[&str], starts: &str) -> String {
    loop {
        let said = house.ask(arguments);
        if let Some(line) = said.lines().position(|line| line.starts_with(starts)) {
            let lines: Vec<_> = said.lines().skip(line).collect();
            if lines[0].contains("FAILED") || starts == "failure" {
                let own = lines
                    .iter()
                    .skip(1)
                    .take_while(|line| line.starts_with("  fix"));
                let own: Vec<_> = std::iter::once(&lines[0]).chain(own).copied().collect();
                return own.join("\n");
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

pub fn rows(house: &Up, table: &mut Table) {
    table.file("rows.csv", b"a,b\n1,one\ntwo,2\n");
    let file = table.file(
        "rows.toml",
        b"name = \"rows\"\nconnector.class = \"file-source\"\ntopic = \"rows\"\npath = \"rows.csv\"\nmode = \"bounded\"\nschema = \"a BIGINT, b STRING\"\n",
    );
    house.ask(&["connector", "apply", &file]);
    let described = failure(house, &["connector", "describe", "rows"], "task 0");
    table.row("CSV record", "`two,2` for `a BIGINT, b STRING`", &described);
    house.ask(&["connector", "delete", "rows", "--yes"]);

    let script = "CREATE TABLE t (a BIGINT) WITH ('connector' = 'rocketmq', 'topic' = 'json-rows', 'format' = 'json');\n\
        CREATE TABLE o (a BIGINT) WITH ('connector' = 'rocketmq', 'topic' = 'o', 'format' = 'json');\n\
        INSERT INTO o SELECT a FROM t;";
    house.ask(&["topic", "create", "json-rows", "--queues", "1"]);
    house.ask(&["produce", "json-rows", "{\"a\": \"x\"}"]);
    let file = table.file("json.sql", script.as_bytes());
    house.ask(&["run", &file]);
    let described = failure(house, &["job", "describe", "json"], "failure");
    table.row("JSON record", "`{\"a\": \"x\"}` for `a BIGINT`", &described);
    house.ask(&["job", "delete", "json", "--yes"]);
}

pub fn settings(house: &Up, table: &mut Table) {
    let file = table.file(
        "bad-settings.toml",
        b"[store]\nfluhs = \"sync\"\nflush = \"never\"\nhot-bytes = \"lots\"\n\n[brokr]\nname = 1\n",
    );
    table.row(
        "settings file",
        "two keys misspelled, two values of the wrong kind",
        &fails(house, &["config", "check", &file]),
    );
    table.row(
        "settings file",
        "the same, to start with",
        &fails(house, &["up", "--config", &file]),
    );
    let broken = table.file("broken.toml", b"[store\n");
    table.row(
        "settings file",
        "TOML that is broken",
        &fails(house, &["config", "check", &broken]),
    );
    let missing = format!("{broken}.missing");
    table.row(
        "settings file",
        "a file that does not exist",
        &fails(house, &["config", "check", &missing]),
    );
    let addresses = table.file(
        "addresses.toml",
        b"[broker]\nlisten = \"nonsense\"\nadvertise = \"broker.example:10911\"\nnameservers = \"nobody\"\n",
    );
    table.row(
        "settings file",
        "addresses that are none",
        &fails(house, &["config", "check", &addresses]),
    );
    let open = table.file("open.toml", b"[admin]\nlisten = \"0.0.0.0:8084\"\n");
    table.row(
        "settings file",
        "a door that strangers could enter",
        &fails(house, &["config", "check", &open]),
    );
    table.row(
        "settings file",
        "the same, to start with",
        &fails(house, &["up", "--config", &open]),
    );
    table.row(
        "settings file",
        "`--set broker.listen=0.0.0.0:10911 --set security.insecure=true`",
        &fails(
            house,
            &[
                "up",
                "--set",
                "broker.listen=0.0.0.0:10911",
                "--set",
                "security.insecure=true",
            ],
        ),
    );
    table.row(
        "settings file",
        "`--set store.flush=never --set nonsense`",
        &fails(
            house,
            &["up", "--set", "store.flush=never", "--set", "nonsense"],
        ),
    );
}

pub fn arguments(house: &Up, table: &mut Table) {
    let cases: [&[&str]; 13] = [
        &["consume", "kept", "--cuont", "1"],
        &["consume", "kept", "--count", "many"],
        &["consume"],
        &["tpoic", "list"],
        &["produce", "a b", "x"],
        &["produce", "kept", "x", "--property", "nonsense"],
        &["consume", "kepd", "--drain"],
        &["consume", "kept", "--filter", "a >"],
        &["topic", "delete", "kept"],
        &["group", "describe", "nobody"],
        &["job", "describe", "nothing"],
        &["connector", "describe", "nothing"],
        &["job", "describe", "nothing", "-o", "json"],
    ];
    for words in cases {
        let shown = format!("`millstream {}`", words.join(" "));
        table.row("argument", &shown, &fails(house, words));
    }
    let [nobody] = free_addresses();
    let cases: [&[&str]; 3] = [
        &["consume", "kept", "-n", &nobody],
        &["job", "list", "--admin", &nobody],
        &["connector", "list", "--connect", &nobody],
    ];
    for words in cases {
        let shown = format!("`millstream {}`, where nobody listens", words.join(" "));
        let shown = shown.replace(&nobody, "HOST");
        table.row("argument", &shown, &fails(house, words));
    }
}

pub fn broker_conf(house: &Up, table: &mut Table) {
    let cases = [
        "brokerRole=SYNC_MASTER",
        "flushDiskType=MAYBE",
        "nonsense",
        "listenPort=x",
        "bindAddress=nonsense",
        "brokerIP1=broker.example",
        "maxMessageSize=lots",
        "fileReservedTime=long",
        "messageDelayLevel=1s 5s",
        "storePathCommitLog=/elsewhere",
        "aclEnable=true",
        "rocketmqHome=/tmp",
    ];
    for line in cases {
        let file = table.file("broker.conf", format!("{line}\n").as_bytes());
        let shown = format!("`{line}`");
        table.row(
            "broker.conf",
            &shown,
            &fails(house, &["config", "check", &file]),
        );
    }
    let file = table.file("broker.properties", b"brokerName=b\n\nbrokerId=first\n");
    table.row(
        "broker.conf",
        "`brokerId=first` in its third line, as `broker.properties`",
        &fails(house, &["config", "check", &file]),
    );
    let file = table.file("namesrv.conf", b"kvConfigPath=/x\nrocketmqHome=/x\n");
    table.row(
        "namesrv.conf",
        "`rocketmqHome=/x` in its second line",
        &fails(house, &["config", "check", &file]),
    );
}

/// A reader such as `head` that goes away after the first line.
pub fn closed_pipe(house: &Up, arguments: &[&str]) {
    let mut command = house.command(arguments);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let printed = child.stdout.take().expect("its output is piped");
    let mut line = String::new();
    BufReader::new(printed)
        .read_line(&mut line)
        .expect("it prints a line");
    assert!(!line.is_empty(), "{arguments:?}");
    let output = child.wait_with_output().expect("it ends");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complained}");
    assert_eq!(complained, "", "{arguments:?}");
}

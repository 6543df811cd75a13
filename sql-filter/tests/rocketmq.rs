//! Compares thousands of expressions with what RocketMQ 5.5.0's own filter made of them.
#![allow(clippy::disallowed_methods)]

use sql_filter::Filter;

const DATA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/data/sql-filter/rocketmq-5.5.0.tsv"
);

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let escaped = match character {
            '\\' => characters.next().expect("something follows a backslash"),
            other => {
                plain.push(other);
                continue;
            }
        };
        plain.push(match escaped {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'f' => '\u{c}',
            other => other,
        });
    }
    plain
}

#[test]
fn every_expression_is_judged_as_by_rocketmq() {
    let rows = std::fs::read_to_string(DATA).expect("the table is there");
    let mut passed = 0;
    for (number, row) in rows.lines().enumerate() {
        let fields: Vec<String> = row.split('\t').map(unescaped).collect();
        let [result, expression, properties @ ..] = &fields[..] else {
            panic!("row {number} lacks fields");
        };
        let properties: Vec<(&str, &str)> = properties
            .chunks(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()))
            .collect();
        let ours = Filter::parse(expression).map(|filter| filter.matches(&properties));
        let agrees = match result.as_str() {
            "refused" => ours.is_err(),
            "true" => ours == Ok(true),
            "false" | "null" | "fails" => ours == Ok(false),
            other => panic!("row {number} has the result {other:?}"),
        };
        assert!(
            agrees,
            "{expression:?} with {properties:?}: RocketMQ {result}, ours {ours:?}"
        );
        passed += 1;
    }
    assert_eq!(passed, 3000);
}

//! Evaluations per second by class of expression, over a message with 16 properties.
//!
//! Budget: 3 million a second and core for `a > 5 AND b IN ('x','y')`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sql_filter::Filter;

const CLASSES: [(&str, &str); 12] = [
    ("budget", "a > 5 AND b IN ('x','y')"),
    ("int", "a > 5"),
    ("long", "a < 3000000000"),
    ("double", "price >= 19.5"),
    ("text", "b = 'y'"),
    ("two properties", "a < price"),
    ("null", "absent IS NULL"),
    ("between", "a BETWEEN 1 AND 9"),
    ("in, few", "b IN ('x','y')"),
    ("in, many", "b IN ('1','2','3','4','5','6','7','8','9','y')"),
    ("search", "city CONTAINS 'ran'"),
    (
        "logic",
        "(a = 6 OR b = 'y') AND NOT (price < 10.0) AND city IS NOT NULL AND b <> 'q'",
    ),
];

/// As a message carries them, what is asked for neither first nor last.
const PROPERTIES: [(&str, &str); 16] = [
    ("UNIQ_KEY", "7F0000010000000012345678ABCD0001"),
    ("CLUSTER", "DefaultCluster"),
    ("MSG_REGION", "DefaultRegion"),
    ("WAIT", "true"),
    ("TRACE_ON", "true"),
    ("KEYS", "order-1234567 customer-42"),
    ("TAGS", "TagA"),
    ("city", "San Francisco"),
    ("price", "19.95"),
    ("a", "7"),
    ("b", "y"),
    ("currency", "EUR"),
    ("weight", "1200"),
    ("source", "web"),
    ("campaign", "autumn"),
    ("version", "3"),
];

fn evaluation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("evaluation");
    group.throughput(Throughput::Elements(1));
    for (class, expression) in CLASSES {
        let filter = Filter::parse(expression).expect("the expression parses");
        assert!(filter.matches(&PROPERTIES), "{class}");
        group.bench_function(class, |bencher| {
            bencher.iter(|| black_box(&filter).matches(black_box(&PROPERTIES)))
        });
    }
    group.finish();
}

fn parsing(criterion: &mut Criterion) {
    criterion.bench_function("parsing", |bencher| {
        bencher.iter(|| Filter::parse(black_box("a > 5 AND b IN ('x','y')")))
    });
}

criterion_group!(benches, evaluation, parsing);
criterion_main!(benches);

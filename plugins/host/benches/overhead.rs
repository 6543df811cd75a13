//! What a function costs over the same code in the host: per call, per row, per language.
//!
//! `add one` does nothing but cross the border, by both ways in; `haversine` is a real function
//! in each language; `start` is what a function costs before its first row.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../tests/functions/build.rs"]
mod build;

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use plugin_host::{PluginHost, ScalarFunction, Settings, Signature};
use runtime::{Clock, Tasks};

const ROWS: [usize; 3] = [1, 1_024, 4_096];

/// Adds one to its column in place and answers the request's own block.
const ADD_ONE: &str = r#"(module
    (memory (export "memory") 4)
    (func (export "mr_alloc") (param i32) (result i32) (i32.const 1024))
    (func (export "mr_eval") (param $at i32) (param $bytes i32) (result i64)
        (local $value i32) (local $end i32)
        (local.set $value (i32.add (local.get $at) (i32.load offset=24 (local.get $at))))
        (local.set $end (i32.add (local.get $value) (i32.load offset=28 (local.get $at))))
        (loop $row
            (i64.store (local.get $value)
                (i64.add (i64.load (local.get $value)) (i64.const 1)))
            (local.set $value (i32.add (local.get $value) (i32.const 8)))
            (br_if $row (i32.lt_u (local.get $value) (local.get $end))))
        (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
            (i64.extend_i32_u (local.get $bytes)))))"#;

/// The host, and the runtime its tasks belong to.
fn host(settings: Settings) -> (Arc<PluginHost>, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts");
    let tasks = runtime.block_on(async { Tasks::new(Clock::real()) });
    let host = PluginHost::new(settings, &tasks).expect("the settings are fine");
    (host, runtime)
}

fn function(host: &PluginHost, bytes: &[u8], signature: &Signature) -> ScalarFunction {
    let module = host.compile(bytes).expect("it is a function");
    module
        .scalar(&signature.name, signature)
        .expect("it has the signature")
}

fn add_one(criterion: &mut Criterion) {
    let (host, _runtime) = host(Settings::default());
    let bigint = |name: &str| Signature::new(name, vec![DataType::Int64], DataType::Int64);
    let kinds = build::rust(&build::guest("kinds"), "kinds");
    let component = function(&host, &kinds, &bigint("next_bigint"));
    let text = wat::parse_str(ADD_ONE).expect("the module is well formed");
    let core = function(&host, &text, &bigint("add_one"));
    let mut group = criterion.benchmark_group("add one");
    for rows in ROWS {
        group.throughput(Throughput::Elements(rows as u64));
        let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        let columns = [column];
        group.bench_function(BenchmarkId::new("native", rows), |bencher| {
            bencher.iter(|| {
                let values = black_box(&columns)[0].as_primitive::<Int64Type>();
                Arc::new(values.unary::<_, Int64Type>(|value| value.wrapping_add(1))) as ArrayRef
            });
        });
        for (name, function) in [("component", &component), ("core", &core)] {
            group.bench_function(BenchmarkId::new(name, rows), |bencher| {
                bencher.iter(|| function.call(black_box(&columns), rows).expect("it adds"));
            });
        }
    }
}

fn haversine(criterion: &mut Criterion) {
    let (host, _runtime) = host(Settings::default());
    let signature = Signature::new(
        "haversine_miles",
        vec![DataType::Float64; 4],
        DataType::Float64,
    );
    let functions = [
        (
            "rust component",
            build::rust(&build::example("rust"), "haversine"),
        ),
        ("go core", build::go(&build::example("go"))),
        (
            "assemblyscript core",
            build::assemblyscript(&build::example("assemblyscript")),
        ),
    ]
    .map(|(name, bytes)| (name, function(&host, &bytes, &signature)));
    let mut group = criterion.benchmark_group("haversine");
    for rows in ROWS {
        group.throughput(Throughput::Elements(rows as u64));
        let columns: Vec<ArrayRef> = [7, 13, 29, 17]
            .map(|step| {
                let degrees = (0..rows).map(|row| (row * step % 1_000) as f64 / 8.0);
                Arc::new(Float64Array::from_iter_values(degrees)) as ArrayRef
            })
            .into();
        group.bench_function(BenchmarkId::new("native", rows), |bencher| {
            bencher.iter(|| native(black_box(&columns)));
        });
        for (name, function) in &functions {
            group.bench_function(BenchmarkId::new(*name, rows), |bencher| {
                bencher.iter(|| {
                    function
                        .call(black_box(&columns), rows)
                        .expect("it measures")
                });
            });
        }
    }
}

fn native(columns: &[ArrayRef]) -> ArrayRef {
    let [lat1, lon1, lat2, lon2] =
        std::array::from_fn(|column| columns[column].as_primitive::<Float64Type>().values());
    let miles = (0..lat1.len()).map(|row| {
        let half_latitude = (lat2[row] - lat1[row]).to_radians() / 2.0;
        let half_longitude = (lon2[row] - lon1[row]).to_radians() / 2.0;
        let chord = half_latitude.sin().powi(2)
            + lat1[row].to_radians().cos()
                * lat2[row].to_radians().cos()
                * half_longitude.sin().powi(2);
        2.0 * 3958.7613 * chord.sqrt().min(1.0).asin()
    });
    Arc::new(Float64Array::from_iter_values(miles))
}

fn start(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let (cached, _runtime) = host(Settings {
        cache_dir: Some(folder.path().to_owned()),
        ..Settings::default()
    });
    let (cold, _runtime) = host(Settings::default());
    let modules = [
        (
            "rust component",
            build::rust(&build::example("rust"), "haversine"),
        ),
        ("go core", build::go(&build::example("go"))),
    ];
    let mut group = criterion.benchmark_group("compile and start");
    group.sample_size(10);
    for (name, bytes) in &modules {
        for (kind, host) in [("cold", &cold), ("cached", &cached)] {
            group.bench_function(BenchmarkId::new(*name, kind), |bencher| {
                bencher.iter(|| host.compile(bytes).expect("it is a function"));
            });
        }
    }
}

criterion_group!(benches, add_one, haversine, start);
criterion_main!(benches);

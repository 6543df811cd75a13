//! Rows per second through the decoders and encoders, on one core, with the flights' five columns.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use format::{Decoder, Encoder, Format, Options};

const ROWS: usize = 10_000;

fn flights() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new(
            "date",
            DataType::Timestamp(TimeUnit::Millisecond, None),
            true,
        ),
        Field::new("delay", DataType::Int32, true),
        Field::new("distance", DataType::Int32, true),
        Field::new("origin", DataType::Utf8, true),
        Field::new("destination", DataType::Utf8, true),
    ]))
}

fn records(format: Format) -> Vec<Bytes> {
    let one = |n: usize| {
        let (minute, delay, distance) = (n % 60, n % 200, 100 + n % 2_000);
        match format {
            Format::Json => format!(
                "{{\"date\":\"2001-01-01 00:{minute:02}:00\",\"delay\":{delay},\"distance\":{distance},\"origin\":\"DTW\",\"destination\":\"LAS\"}}"
            ),
            _ => format!("2001-01-01 00:{minute:02}:00,{delay},{distance},DTW,LAS"),
        }
    };
    (0..ROWS).map(|n| Bytes::from(one(n))).collect()
}

fn throughput(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("flights");
    group.throughput(Throughput::Elements(ROWS as u64));
    for format in [Format::Json, Format::Csv] {
        let rows = records(format);
        let mut decoder =
            Decoder::new(format, flights(), Options::default()).expect("the types are supported");
        let (batch, undecodable) = decoder.decode(&rows);
        assert!(undecodable.is_empty());
        let encoder =
            Encoder::new(format, flights(), Options::default()).expect("the types are supported");
        group.bench_function(format!("decode {format}"), |bencher| {
            bencher.iter(|| decoder.decode(&rows))
        });
        group.bench_function(format!("encode {format}"), |bencher| {
            bencher.iter(|| encoder.encode(&batch))
        });
    }
    group.finish();
}

criterion_group!(benches, throughput);
criterion_main!(benches);

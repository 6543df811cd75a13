//! Rows and bytes per second through the decoders and encoders, on one core, with the flights'
//! five columns. Beside each the arrow crates on the same bytes in one piece: they stop at the
//! first bad row and keep no row's bytes, so they are the limit, not a rival.

use std::sync::Arc;

use arrow::array::RecordBatch;
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
    for format in [Format::Json, Format::Csv] {
        let rows = records(format);
        let mut lines = rows.join(&b'\n');
        lines.push(b'\n');
        group.throughput(Throughput::ElementsAndBytes {
            elements: ROWS as u64,
            bytes: lines.len() as u64,
        });
        let mut decoder =
            Decoder::new(format, flights(), Options::default()).expect("the types are supported");
        let (batch, undecodable) = decoder.decode(&rows);
        assert!(undecodable.is_empty());
        assert_eq!(arrow_decode(format, &lines), batch);
        let encoder =
            Encoder::new(format, flights(), Options::default()).expect("the types are supported");
        group.bench_function(format!("decode {format}"), |bencher| {
            bencher.iter(|| decoder.decode(&rows))
        });
        group.bench_function(format!("decode {format}, arrow"), |bencher| {
            bencher.iter(|| arrow_decode(format, &lines))
        });
        group.bench_function(format!("encode {format}"), |bencher| {
            bencher.iter(|| encoder.encode(&batch))
        });
        group.bench_function(format!("encode {format}, arrow"), |bencher| {
            bencher.iter(|| arrow_encode(format, &batch))
        });
    }
    group.finish();
}

fn arrow_decode(format: Format, lines: &[u8]) -> RecordBatch {
    let batch = match format {
        Format::Json => {
            let reader = arrow::json::ReaderBuilder::new(flights()).with_batch_size(ROWS);
            let mut decoder = reader.build_decoder().expect("the types are supported");
            decoder.decode(lines).expect("it is JSON");
            decoder.flush()
        }
        _ => {
            let reader = arrow::csv::ReaderBuilder::new(flights()).with_batch_size(ROWS);
            let mut decoder = reader.build_decoder();
            decoder.decode(lines).expect("it is CSV");
            decoder.flush()
        }
    };
    batch.expect("it fits the columns").expect("there are rows")
}

fn arrow_encode(format: Format, batch: &RecordBatch) -> Vec<u8> {
    let mut out = Vec::new();
    match format {
        Format::Json => {
            let mut writer = arrow::json::LineDelimitedWriter::new(&mut out);
            writer.write(batch).expect("memory takes it");
            writer.finish().expect("memory takes it");
        }
        _ => {
            let builder = arrow::csv::WriterBuilder::new().with_header(false);
            let mut writer = builder.build(&mut out);
            writer.write(batch).expect("memory takes it");
        }
    }
    out
}

criterion_group!(benches, throughput);
criterion_main!(benches);

//! The headers every message pays for. Goal: 150 ns each.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use protocol::headers::{PullMessage, PullReply, SendMessage, SendReply};
use protocol::{Caller, ExtFields, Frame, ReadFields, RequestCode, ResponseCode, Serialization};

const PROPERTIES: &str = "KEYS\u{1}before-0\u{2}UNIQ_KEY\u{1}FD000000000000000000000000000002499D4E0E2F2A6F77C7160000\u{2}\
    WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}";

fn send() -> ExtFields {
    ExtFields::of(&SendMessage {
        producer_group: "PID_wire_tag",
        topic: "WireTag",
        default_topic: "TBW102",
        default_topic_queues: 4,
        queue: 3,
        sys_flag: 0,
        born: 1_795_361_320_735,
        flag: 0,
        properties: PROPERTIES,
        reconsume_times: 0,
        unit_mode: false,
        max_reconsume_times: None,
        batch: false,
        broker: Some("broker-a"),
    })
}

fn pull() -> ExtFields {
    [
        ("consumerGroup", "GID_wire_tag"),
        ("topic", "WireTag"),
        ("queueId", "1"),
        ("queueOffset", "123456"),
        ("maxMsgNums", "32"),
        ("sysFlag", "3"),
        ("commitOffset", "123455"),
        ("suspendTimeoutMillis", "15000"),
        ("subVersion", "1795361320735"),
        ("expressionType", "TAG"),
        ("maxMsgBytes", "2147483647"),
        ("bname", "broker-a"),
    ]
    .into_iter()
    .collect()
}

fn written(code: RequestCode, ext: ExtFields, serialization: Serialization) -> BytesMut {
    let mut frame = Frame::request(code, ext, Bytes::from_static(&[b'x'; 1024]));
    frame.serialization = serialization;
    let mut written = BytesMut::new();
    frame.encode(&mut written);
    written
}

/// Decodes frame and typed header, from a buffer that already is shared as a connection's is.
fn decode(bench: &mut Criterion, name: &str, frame: &BytesMut, read: impl Fn(&ExtFields) -> i64) {
    let shared = || {
        let mut buffer = BytesMut::with_capacity(frame.len() + 8);
        buffer.extend_from_slice(b"previous");
        buffer.extend_from_slice(frame);
        let _previous = buffer.split_to(8);
        (buffer, _previous)
    };
    bench.bench_function(name, |bencher| {
        bencher.iter_batched(
            shared,
            |(mut buffer, previous)| {
                let frame = Frame::decode(&mut buffer)
                    .expect("it is well-formed")
                    .expect("it is whole");
                (black_box(read(&frame.header.ext)), frame, buffer, previous)
            },
            BatchSize::SmallInput,
        );
    });
}

fn headers(bench: &mut Criterion) {
    for (form, serialization) in [
        ("json", Serialization::Json),
        ("binary", Serialization::Binary),
    ] {
        let frame = written(RequestCode::SEND_MESSAGE_V2, send(), serialization);
        decode(bench, &format!("send decode {form}"), &frame, |fields| {
            let header = SendMessage::read_fields(fields).expect("it is complete");
            header.born + header.properties.len() as i64
        });
        let frame = written(RequestCode::PULL_MESSAGE, pull(), serialization);
        decode(bench, &format!("pull decode {form}"), &frame, |fields| {
            PullMessage::read_fields(fields)
                .expect("it is complete")
                .queue_offset
        });
        let request = Frame::decode(&mut written(
            RequestCode::PULL_MESSAGE,
            pull(),
            serialization,
        ));
        let caller = Caller::of(&request.expect("it is well-formed").expect("it is whole"));
        let mut out = BytesMut::with_capacity(4096);
        let reply = SendReply {
            queue: 3,
            transaction_id: Some("FD000000000000000000000000000002499D4E0E2F2A6F77C7160000"),
            message_id: "7F000001000078BF000000000000103F",
            trace: Some(true),
            region: Some("DefaultRegion"),
            queue_offset: 123_456,
            batch_unique_id: None,
            recall_handle: None,
        };
        bench.bench_function(&format!("send reply {form}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                caller.encode_reply(&mut out, ResponseCode::SUCCESS, None, black_box(&reply), 0);
                out.len()
            });
        });
        let reply = PullReply {
            suggested_broker_id: 0,
            group_sys_flag: Some(0),
            next_begin_offset: 123_488,
            max_offset: 200_000,
            min_offset: 0,
            topic_sys_flag: Some(0),
        };
        bench.bench_function(&format!("pull reply {form}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                caller.encode_reply(
                    &mut out,
                    ResponseCode::SUCCESS,
                    Some("FOUND"),
                    black_box(&reply),
                    65_536,
                );
                out.len()
            });
        });
    }
}

criterion_group!(benches, headers);
criterion_main!(benches);

//! Whatever bytes come to the door, they are accepted or refused; the host lives.

use std::sync::LazyLock;

use plugin_host::to_component;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::build;
use crate::guests::{ECHO, evaluating, refusal, tight};
use crate::house::House;

static COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    std::fs::read(build::example("rust").join("haversine.wasm")).expect("it is committed")
});

/// A core module with its world, as cargo leaves it.
static HALF_DONE: LazyLock<Vec<u8>> =
    LazyLock::new(|| build::rust(&build::example("rust"), "haversine"));

/// `bytes` with a few of them replaced, perhaps cut short.
fn damaged(bytes: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let places = proptest::collection::vec((0..bytes.len(), any::<u8>()), 1..6);
    let length = prop_oneof![3 => Just(bytes.len()), 1 => 0..bytes.len()];
    (places, length).prop_map(|(places, length)| {
        let mut damaged = bytes.to_vec();
        for (place, byte) in places {
            damaged[place] = byte;
        }
        damaged.truncate(length);
        damaged
    })
}

fn run<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&strategy, |value| {
            test(value);
            Ok(())
        })
        .expect("no case panics");
}

#[test]
fn what_is_not_webassembly_is_told_so() {
    let house = House::new(tight());
    for bytes in [&b""[..], b"#!/bin/sh\n", b"(module)", b"\0as"] {
        let said = refusal(&house, bytes).to_string();
        assert_eq!(
            said,
            "this is not a WASM module that can run here: a .wasm file starts with the bytes 00 61 73 6d"
        );
    }
}

#[test]
fn arbitrary_bytes_are_refused() {
    let house = House::new(tight());
    let preambles = prop_oneof![
        Just(&b""[..]),
        Just(&b"\0asm\x01\0\0\0"[..]),
        Just(&b"\0asm\x0d\0\x01\0"[..]),
    ];
    let bytes = (preambles, proptest::collection::vec(any::<u8>(), 0..300));
    run(2_000, bytes, |(preamble, bytes)| {
        let _ = house.host.compile(&[preamble, &bytes].concat());
    });
}

#[test]
fn a_damaged_component_is_refused_or_runs() {
    let house = House::new(tight());
    run(60, damaged(&COMPONENT), |bytes| {
        let _ = house.host.compile(&bytes);
    });
}

#[test]
fn a_damaged_core_module_is_refused_or_runs() {
    let house = House::new(tight());
    let echo: &'static [u8] = evaluating(ECHO).leak();
    run(500, damaged(echo), |bytes| {
        let _ = house.host.compile(&bytes);
    });
}

#[test]
fn a_damaged_world_does_not_take_the_encoder_along() {
    run(300, damaged(&HALF_DONE), |bytes| {
        let _ = to_component(&bytes);
    });
}

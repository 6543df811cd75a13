//! Every decoder on the same bytes: first as a stream of frames, then as a body.
#![no_main]

#[path = "../../tests/golden/decoders.rs"]
mod decoders;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| decoders::read_everything(bytes));

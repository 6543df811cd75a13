//! Real frames, damaged, against every decoder: a bounded number in every run, and as many as
//! there is time for when `MILLSTREAM_FUZZ_SECONDS` is set.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::captured;
use crate::damage::Damage;
use crate::decoders::read_everything;

/// Frames damaged from one seed, and the damage that is tried in every run.
const FRAMES_PER_SEED: usize = 10_000;

fn frames() -> Vec<Vec<u8>> {
    captured::all()
        .into_iter()
        .map(|captured| captured.bytes)
        .collect()
}

/// Tries a seed's frames; a panic names the one that caused it.
fn check(frames: &[Vec<u8>], seed: u64) {
    let mut damage = Damage::new(frames, seed);
    for _ in 0..FRAMES_PER_SEED {
        let bytes = damage.next();
        if catch_unwind(AssertUnwindSafe(|| read_everything(&bytes))).is_err() {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            panic!("seed {seed}: a decoder broke on {hex}");
        }
    }
}

#[test]
fn real_frames_are_read() {
    frames().iter().for_each(|frame| read_everything(frame));
}

#[test]
fn damaged_frames_are_refused_or_understood() {
    let frames = frames();
    check(&frames, 1);
    let seconds = std::env::var("MILLSTREAM_FUZZ_SECONDS").ok();
    let Some(seconds) = seconds.and_then(|seconds| seconds.parse().ok()) else {
        return;
    };
    let began = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let first = now.expect("it is after 1970").as_secs();
    let mut seed = first;
    while began.elapsed() < Duration::from_secs(seconds) {
        check(&frames, seed);
        seed += 1;
    }
    println!(
        "{} damaged frames from seed {first} on",
        (seed - first) as usize * FRAMES_PER_SEED
    );
}

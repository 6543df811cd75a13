//! How fast memory is copied.

use std::hint::black_box;

use crate::clock::now;

/// Far beyond any cache.
const BYTES: usize = 256 << 20;
const COPIES: usize = 4;

/// MB/s of the best copy; the first one pays for the pages.
pub fn copy() -> f64 {
    let from = vec![3u8; BYTES];
    let mut to = vec![0u8; BYTES];
    let best = (0..COPIES).map(|_| {
        let before = now();
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
        now() - before
    });
    let best = best.min().unwrap_or(1).max(1);
    BYTES as f64 * 1e3 / best as f64
}

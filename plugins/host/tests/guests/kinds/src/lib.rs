//! A function for every type, and one for every way to fail.

use std::sync::atomic::{AtomicI64, Ordering};

use plugin_sdk::{Date, Decimal, Level, TimestampMicros, TimestampMillis, TimestampNanos};

static CALLS: AtomicI64 = AtomicI64::new(0);

plugin_sdk::functions! {
    fn negate(value: bool) -> bool {
        !value
    }

    fn next_int(value: i32) -> i32 {
        value.wrapping_add(1)
    }

    fn next_bigint(value: i64) -> i64 {
        value.wrapping_add(1)
    }

    fn half(value: f64) -> f64 {
        value / 2.0
    }

    fn tomorrow(value: Date) -> Date {
        Date(value.0 + 1)
    }

    fn millis(value: TimestampMillis) -> TimestampMillis {
        TimestampMillis(value.0 + 1)
    }

    fn micros(value: TimestampMicros) -> TimestampMicros {
        TimestampMicros(value.0 + 1)
    }

    fn nanos(value: TimestampNanos) -> TimestampNanos {
        TimestampNanos(value.0 + 1)
    }

    fn cents(value: Decimal<10, 2>) -> Decimal<10, 2> {
        Decimal(value.0 + 1)
    }

    fn shout(value: &str) -> String {
        value.to_uppercase()
    }

    fn reversed(value: &[u8]) -> Vec<u8> {
        value.iter().rev().copied().collect()
    }

    /// Sees nulls.
    fn or_zero(value: Option<i64>) -> i64 {
        value.unwrap_or(0)
    }

    /// Makes nulls.
    fn half_of_even(value: i64) -> Option<i64> {
        (value % 2 == 0).then_some(value / 2)
    }

    /// Of its two arguments only one may be null.
    fn label(prefix: &str, value: Option<i64>) -> String {
        match value {
            Some(value) => format!("{prefix}{value}"),
            None => format!("{prefix}-"),
        }
    }

    /// Fails for negative rows.
    fn root(value: f64) -> Result<f64, String> {
        if value < 0.0 { Err(format!("{value} has no root")) } else { Ok(value.sqrt()) }
    }

    /// Traps for zero.
    fn reciprocal(value: i64) -> i64 {
        assert!(value != 0, "zero has no reciprocal");
        1_000 / value
    }

    /// How often this instance was asked, this time included.
    fn calls(_value: i64) -> i64 {
        CALLS.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn nan(_value: i64) -> f64 {
        let zero = std::hint::black_box(0.0f64);
        zero / zero
    }

    fn constant() -> i32 {
        42
    }

    /// Says each row.
    fn said(value: &str) -> bool {
        plugin_sdk::log(Level::Info, value);
        true
    }
}

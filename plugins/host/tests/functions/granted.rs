//! What a function is given, and what it must be granted.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use plugin_host::{Error, Settings, Signature};

use crate::guests::{column, refusal, scalar_component, tight};
use crate::house::House;

/// `f()` is the time, for batches of one row.
fn clock() -> Vec<u8> {
    let now_at = 1_024 + 20 * 4;
    let mut answer = column(2, 1, 1, [now_at, 1, 0, 0]);
    answer.resize(22, 0);
    scalar_component(
        r#"(import "millstream:udf/clock@1.0.0" "epoch-time" (func $now (result i64)))"#,
        &format!("(i64.store (i32.const {now_at}) (call $now)) (i32.const 1024)"),
        &answer,
    )
}

#[test]
fn a_clock_that_is_not_granted_is_refused_by_name() {
    let error = refusal(&House::new(tight()), &clock());
    assert!(
        matches!(&error, Error::Import { name, .. } if name == "millstream:udf/clock@1.0.0"),
        "{error}"
    );
}

#[test]
fn a_granted_clock_stands_still_until_the_next_epoch() {
    let house = House::new(Settings {
        grant_clock: true,
        ..tight()
    });
    let module = house.host.compile(&clock()).expect("the clock is granted");
    let declared = Signature::new("f", vec![], DataType::Int64);
    let now = module.scalar("f", &declared).expect("it describes f");
    let read = || {
        let column = now.call(&[], 1).expect("it is some time");
        column.as_primitive::<Int64Type>().value(0)
    };
    now.set_epoch_time(1_700_000_000_000_000);
    assert_eq!(
        (read(), read()),
        (1_700_000_000_000_000, 1_700_000_000_000_000)
    );
    now.set_epoch_time(1_700_000_001_000_000);
    assert_eq!(read(), 1_700_000_001_000_000);
}

//! The host ends with the process it lives in, and no call is left without a deadline.

use plugin_host::CallError;

use crate::guests::{ECHO, bigint_function, bigints, evaluating, tight};
use crate::house::House;

#[test]
fn after_a_stop_functions_no_longer_run() {
    let house = House::new(tight());
    let echo = bigint_function(&house, &evaluating(ECHO));
    assert_eq!(house.stop(), Vec::<String>::new());
    let error = echo
        .call(&[bigints([1])], 1)
        .expect_err("nothing watches its deadline");
    assert_eq!(error, CallError::Stopped);
}

#[test]
fn a_call_in_progress_keeps_its_deadline_during_a_stop() {
    let house = House::new(tight());
    let endless = bigint_function(&house, &evaluating("(loop (br 0)) (i64.const 0)"));
    let tasks = house.tasks.clone();
    std::thread::scope(|scope| {
        let call = scope.spawn(move || {
            tasks.shutdown().request();
            endless.call(&[bigints([1])], 1)
        });
        let error = call
            .join()
            .expect("it returns")
            .expect_err("it never ends by itself");
        assert!(
            matches!(error, CallError::Deadline { .. } | CallError::Stopped),
            "{error}"
        );
    });
    assert_eq!(house.stop(), Vec::<String>::new());
}

#[test]
fn the_watching_thread_ends_with_the_host() {
    let mut house = House::new(tight());
    let host = std::mem::replace(&mut house.host, House::new(tight()).host);
    drop(host);
    while !house.tasks.running().is_empty() {
        std::thread::yield_now();
    }
}

//! Clock functions say one time for a whole epoch, and say it again when the epoch is repeated.

use arrow::array::{ArrayRef, Int64Array};
use planner::{FunctionLoader, ScalarBody};
use plugin_host::{CallError, Signature};
use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use crate::world::{Cell, Fault, Run, World, to};

const SCRIPT: &str = "
CREATE FUNCTION guest_time() RETURNS BIGINT LANGUAGE wasm AS 'clock.wasm';
CREATE TABLE output (k STRING, at TIMESTAMP_LTZ(3), guest BIGINT)
  WITH ('connector' = 'rocketmq', 'topic' = 'output', 'format' = 'json');
INSERT INTO output SELECT k, CURRENT_TIMESTAMP, guest_time() FROM input;
";

/// A function that says what it was told of the time.
struct Told(AtomicI64);

impl ScalarBody for Told {
    fn call(&self, _: &[ArrayRef], rows: usize) -> Result<ArrayRef, CallError> {
        let told = self.0.load(Ordering::Relaxed);
        Ok(Arc::new(Int64Array::from(vec![told; rows])))
    }

    fn is_deterministic(&self) -> bool {
        false
    }

    fn set_time(&self, milliseconds: i64) {
        self.0.store(milliseconds, Ordering::Relaxed);
    }
}

struct Clocks;

impl FunctionLoader for Clocks {
    fn load(&self, _: &Signature, _: &str) -> Result<Arc<dyn ScalarBody>, String> {
        Ok(Arc::new(Told(AtomicI64::new(-1))))
    }
}

fn run(first: &[Cell]) -> Run {
    let world = World {
        queues: vec![first.to_vec(), Vec::new(), Vec::new()],
        ..World::default()
    };
    let run = Run::of_script(SCRIPT, Some(Arc::new(Clocks)), world);
    run.clock.jump_wall(1_000);
    run
}

fn arrive(run: &Run, k: &'static str) {
    run.broker.world().queues[0].push(Some((k, 1, 1)));
}

#[tokio::test]
async fn each_epoch_has_its_own_time() {
    let run = run(&[Some(("a", 1, 1))]);
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job).await.expect("it steps");
    run.clock.jump_wall(500);
    arrive(&run, "b");
    run.read(&mut job).await.expect("it steps");
    let said = to(&run.broker.world(), "output");
    assert_eq!(said, ["a 1000 1000", "b 1500 1500"]);
}

#[tokio::test]
async fn an_epoch_that_is_published_again_says_the_same_time() {
    let run = run(&[]);
    let mut job = run.open().await.expect("the job opens");
    job.epoch().await.expect("it says where reading starts");
    arrive(&run, "a");
    run.broker.world().fault = Some(Fault::LostRequest);
    while job.epoch().await.is_ok() {}
    assert!(run.broker.world().output.is_empty());
    run.clock.jump_wall(500);
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job)
        .await
        .expect("it publishes what was lost");
    assert_eq!(to(&run.broker.world(), "output"), ["a 1000 1000"]);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_take_time_back() {
    let run = run(&[Some(("a", 1, 1))]);
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job).await.expect("it steps");
    run.clock.jump_wall(-700);
    arrive(&run, "b");
    // Not even for another run of the job.
    let mut job = run.open().await.expect("the job opens");
    run.read(&mut job).await.expect("it steps");
    let said = to(&run.broker.world(), "output");
    assert_eq!(said, ["a 1000 1000", "b 1000 1000"]);
}

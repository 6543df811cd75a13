//! Every input that a fuzzer was worth keeping is run again, with no fuzzer at hand.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use fuzz::{TARGETS, corpus};

#[test]
fn every_kept_input_is_understood_or_refused() {
    for target in TARGETS {
        let inputs = corpus(target.name);
        assert!(!inputs.is_empty(), "{} has no inputs", target.name);
        for input in inputs {
            let bytes = std::fs::read(&input).expect("a file of the corpus");
            let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(&bytes)));
            assert!(
                outcome.is_ok(),
                "{} broke on {}",
                target.name,
                input.display()
            );
        }
    }
}

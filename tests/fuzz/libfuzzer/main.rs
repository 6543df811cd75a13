//! Runs the target that `MILLSTREAM_FUZZ_TARGET` names under libFuzzer.
#![no_main]

use std::sync::LazyLock;

use fuzz::Target;

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("MILLSTREAM_FUZZ_TARGET").unwrap_or_default();
    let names: Vec<_> = fuzz::TARGETS.iter().map(|target| target.name).collect();
    fuzz::target(&name)
        .unwrap_or_else(|| panic!("MILLSTREAM_FUZZ_TARGET is {name:?}, and not one of {names:?}"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));

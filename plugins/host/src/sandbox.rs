//! The one engine: which WebAssembly it accepts and how it compiles it.

use wasmtime::{Cache, CacheConfig, Config, Engine, OptLevel};

use crate::{Error, Settings};

/// Stack of a call. Runs on the caller's thread, which needs as much to spare.
const STACK_BYTES: usize = 512 << 10;

/// An engine whose code stops at deadlines and computes the same bits everywhere.
///
/// Memory is reserved per instance as it starts, not from a pool: instances are warm
/// and few, and a pool would cap how many jobs may run.
pub(crate) fn engine(settings: &Settings) -> Result<Engine, Error> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_init_cow(true);
    // A trap is told by its reason; walking the guest's stack would only make it slower.
    config.wasm_backtrace_max_frames(None);
    // The same bits on every machine, so a replay gives the same rows.
    config
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(true)
        .relaxed_simd_deterministic(true);
    // What no function needs is not there to be attacked.
    config
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_component_model(true);
    if let Some(dir) = &settings.cache_dir {
        let mut cache = CacheConfig::new();
        cache.with_directory(dir);
        config.cache(Some(Cache::new(cache).map_err(sandbox)?));
    }
    Engine::new(&config).map_err(sandbox)
}

fn sandbox(error: wasmtime::Error) -> Error {
    Error::Sandbox(format!("{error:#}"))
}

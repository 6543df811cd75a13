//! A host to test against, and what every test passes to it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use plugin_host::{PluginHost, Settings, Signature};
use runtime::{Clock, Tasks};

/// A host and the tasks its ticker runs on.
pub struct House {
    pub host: Arc<PluginHost>,
    pub tasks: Tasks,
    runtime: tokio::runtime::Runtime,
}

impl House {
    pub fn new(settings: Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime starts");
        let tasks = runtime.block_on(async { Tasks::new(Clock::real()) });
        let host = PluginHost::new(settings, &tasks).expect("the settings are fine");
        Self {
            host,
            tasks,
            runtime,
        }
    }

    /// Stops everything and returns what did not end in time.
    pub fn stop(self) -> Vec<String> {
        let stop = self.tasks.stop(std::time::Duration::from_secs(30));
        self.runtime.block_on(stop).unfinished
    }
}

pub fn doubles(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

/// The function that every example language implements.
pub fn haversine_signature() -> Signature {
    Signature::new(
        "haversine_miles",
        vec![DataType::Float64; 4],
        DataType::Float64,
    )
}

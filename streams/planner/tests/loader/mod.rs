//! Functions for tests, written natively: what counts here is how they are planned.

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Int64Array},
    datatypes::{Float64Type, Int64Type},
};
use planner::{ConnectorSpec, Environment, FunctionLoader, ScalarBody};
use plugin_host::{CallError, RowError, Signature};
use std::sync::Arc;

/// An environment whose functions come from [`Native`].
/// Its connector `lines` is written only, and takes nothing but inserts.
pub(crate) fn environment() -> Environment {
    let mut environment = Environment::new("test").with_functions(Arc::new(Native));
    let lines = ConnectorSpec {
        sink: true,
        ..ConnectorSpec::default()
    };
    environment.connectors.add("lines", lines);
    environment
}

/// Knows the file of the flights job and `half.wasm`; has no other.
struct Native;

impl FunctionLoader for Native {
    fn load(&self, _: &Signature, location: &str) -> Result<Arc<dyn ScalarBody>, String> {
        match location {
            "../functions/rust/haversine.wasm" => Ok(Arc::new(GreatCircle)),
            "half.wasm" => Ok(Arc::new(Half)),
            other => Err(format!("no such file: {other}")),
        }
    }
}

struct GreatCircle;

impl ScalarBody for GreatCircle {
    fn call(&self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef, CallError> {
        let column = |position: usize| arguments[position].as_primitive::<Float64Type>();
        let miles = (0..rows).map(|row| {
            let known = (0..4).all(|position| column(position).is_valid(row));
            let degrees = |position: usize| column(position).value(row);
            known.then(|| haversine(degrees(0), degrees(1), degrees(2), degrees(3)))
        });
        Ok(Arc::new(miles.collect::<Float64Array>()))
    }

    fn is_deterministic(&self) -> bool {
        true
    }
}

/// Great-circle distance in statute miles.
fn haversine(from_latitude: f64, from_longitude: f64, to_latitude: f64, to_longitude: f64) -> f64 {
    let north = (to_latitude - from_latitude).to_radians() / 2.0;
    let east = (to_longitude - from_longitude).to_radians() / 2.0;
    let cosines = from_latitude.to_radians().cos() * to_latitude.to_radians().cos();
    let chord = north.sin().powi(2) + cosines * east.sin().powi(2);
    2.0 * 3958.7613 * chord.sqrt().asin()
}

/// Halves even numbers and refuses odd ones.
struct Half;

impl ScalarBody for Half {
    fn call(&self, arguments: &[ArrayRef], _: usize) -> Result<ArrayRef, CallError> {
        let numbers = arguments[0].as_primitive::<Int64Type>();
        let odd = numbers
            .iter()
            .enumerate()
            .filter(|(_, number)| number.is_some_and(|number| number % 2 != 0));
        let refused: Vec<RowError> = odd
            .map(|(row, _)| RowError {
                row,
                why: "it is odd".to_owned(),
            })
            .collect();
        if !refused.is_empty() {
            return Err(CallError::Rows(refused));
        }
        Ok(Arc::new(
            numbers
                .iter()
                .map(|number| number.map(|number| number / 2))
                .collect::<Int64Array>(),
        ))
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn version(&self) -> Option<String> {
        Some("0123456789ab".to_owned())
    }
}

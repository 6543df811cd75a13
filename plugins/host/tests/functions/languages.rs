//! The example function, built from source in each language, gives the same distances.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Float64Type;
use plugin_host::{Kind, Settings};

use crate::build;
use crate::house::{House, doubles, haversine_signature};

/// Pairs of points all over the globe: poles, antipodes, the date line, the same point twice.
fn points(rows: usize) -> Vec<ArrayRef> {
    let spread = |step: usize, width: f64| {
        doubles(
            (0..rows).map(move |row| (row * step % 1_001) as f64 / 1_000.0 * width - width / 2.0),
        )
    };
    vec![
        spread(7, 180.0),
        spread(13, 360.0),
        spread(29, 180.0),
        spread(13, 360.0),
    ]
}

/// What the module in `bytes` answers for `rows` pairs of points.
fn distances(house: &House, bytes: &[u8], kind: Kind, rows: usize) -> Vec<f64> {
    let module = house
        .host
        .compile(bytes)
        .expect("the example is a function");
    assert_eq!(module.kind(), kind);
    let declared = haversine_signature();
    let function = module
        .scalar("haversine_miles", &declared)
        .expect("it has the declared types");
    let column = function.call(&points(rows), rows).expect("no row fails");
    assert_eq!(column.null_count(), 0);
    column.as_primitive::<Float64Type>().values().to_vec()
}

/// Each language brings its own sine: the last bits may differ, a foot may not.
#[track_caller]
fn assert_close(left: &[f64], right: &[f64]) {
    assert_eq!(left.len(), right.len());
    for (row, (left, right)) in left.iter().zip(right).enumerate() {
        assert!(
            (left - right).abs() < 1e-6,
            "row {row}: {left} and {right} miles"
        );
    }
}

fn native(rows: usize) -> Vec<f64> {
    let points = points(rows);
    let degrees =
        |column: usize, row: usize| points[column].as_primitive::<Float64Type>().value(row);
    (0..rows)
        .map(|row| {
            let [lat1, lon1, lat2, lon2] =
                std::array::from_fn(|column| degrees(column, row).to_radians());
            let chord = ((lat2 - lat1) / 2.0).sin().powi(2)
                + lat1.cos() * lat2.cos() * ((lon2 - lon1) / 2.0).sin().powi(2);
            2.0 * 3958.7613 * chord.sqrt().min(1.0).asin()
        })
        .collect()
}

#[test]
fn rust_go_and_assemblyscript_agree_with_native_code() {
    let house = House::new(Settings::default());
    let modules = [
        (
            build::rust(&build::example("rust"), "haversine"),
            Kind::Component,
        ),
        (build::go(&build::example("go")), Kind::Core),
        (
            build::assemblyscript(&build::example("assemblyscript")),
            Kind::Core,
        ),
    ];
    for (module, kind) in &modules {
        for rows in [1, 7, 20_000] {
            assert_close(&distances(&house, module, *kind, rows), &native(rows));
        }
    }
}

#[test]
fn the_committed_component_and_a_fresh_build_give_the_same_bits() {
    let house = House::new(Settings::default());
    let committed =
        std::fs::read(build::example("rust").join("haversine.wasm")).expect("it is committed");
    let fresh = build::rust(&build::example("rust"), "haversine");
    let bits = |bytes: &[u8]| -> Vec<u64> {
        let miles = distances(&house, bytes, Kind::Component, 20_000);
        miles.into_iter().map(f64::to_bits).collect()
    };
    assert_eq!(bits(&committed), bits(&fresh));
}

#[test]
fn jfk_to_lax_is_2470_miles_in_the_committed_component() {
    let house = House::new(Settings::default());
    let committed =
        std::fs::read(build::example("rust").join("haversine.wasm")).expect("it is committed");
    let module = house.host.compile(&committed).expect("it is a component");
    let function = module
        .scalar("HAVERSINE_MILES", &haversine_signature())
        .expect("case does not matter");
    let points: Vec<_> = [40.6398, -73.7789, 33.9425, -118.4081]
        .map(|degrees| doubles([degrees]))
        .into();
    let column = function.call(&points, 1).expect("it is a flight");
    let miles = column.as_primitive::<Float64Type>().value(0);
    assert!((miles - 2_470.0).abs() < 5.0, "{miles}");
}

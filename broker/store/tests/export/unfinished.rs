//! An export that was cut off has no name that anybody could take for a whole one, and the next
//! one makes it anew.

use std::path::Path;

use store::{Error, ExportError};

use crate::fixture::Fixture;
use crate::house::{House, tagged};
use crate::small::{TARGET, export, export_to, files};

#[tokio::test]
async fn power_that_fails_at_any_step() {
    let house = House::with(|settings| settings.segment_bytes = 4 << 10);
    for number in 0..6 {
        let body = number.to_string().repeat(1_500);
        house.append(&tagged("t", number % 2, &body)).await;
    }
    let fixture = Fixture::closed(house).await;
    let (simulated, settings) = (&fixture.house.disk, &fixture.house.settings);
    export_to(&fixture.disk(), settings, "/reference").expect("it is exported");
    let reference = files(&fixture.disk(), "/reference");
    let mut steps = 0;
    loop {
        steps += 1;
        simulated.power_fails_after(steps);
        let exported = export(&fixture.disk(), settings);
        let whole = exported.is_ok();
        let because = exported.err().map(|why| why.to_string());
        assert!(
            whole || !simulated.has_power(),
            "step {steps}: {because:?}, with power"
        );
        simulated.crash();
        let disk = fixture.disk();
        let named = disk.exists(Path::new(TARGET)).expect("it is looked for");
        assert!(named || !whole, "whole after {steps} steps, and gone");
        if named {
            let below =
                |path: &Path, root: &str| path.strip_prefix(root).expect("below").to_owned();
            let found = files(&disk, TARGET).into_iter();
            let found = found.filter(|(path, _)| !path.ends_with("export-begun"));
            let found: Vec<_> = found
                .map(|(path, bytes)| (below(&path, TARGET), bytes))
                .collect();
            let expected = reference.iter();
            let expected: Vec<_> = expected
                .map(|(path, bytes)| (below(path, "/reference"), bytes.clone()))
                .collect();
            assert!(
                found == expected,
                "something is missing after {steps} steps"
            );
            disk.remove_dir_all(Path::new(TARGET))
                .expect("it is removed");
        }
        if whole {
            break;
        }
    }
    assert!(steps > 40, "{steps} steps");
}

#[tokio::test]
async fn a_disk_that_is_full() {
    let fixture = Fixture::new().await;
    let (simulated, settings) = (&fixture.house.disk, &fixture.house.settings);
    let mut failures = 0;
    for room in (1..).map(|step| step * (8 << 10)) {
        simulated.set_capacity(Some((100 << 10) | room));
        match export(&fixture.disk(), settings) {
            Ok(_) => break,
            Err(ExportError::Store(Error::Disk { .. })) => failures += 1,
            Err(other) => panic!("{other}"),
        }
        let named = fixture.disk().exists(Path::new(TARGET));
        assert!(!named.expect("it is looked for"), "{room} bytes");
    }
    assert!(failures > 0, "there was room from the first");
}

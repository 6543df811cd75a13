//! Stores that were begun with segments of another size than ours.

use std::path::Path;
use std::sync::Arc;

use runtime::Disk;

use crate::fixture::{Fixture, SEGMENT};
use crate::house::{House, ROOT, message};
use crate::small::export;

async fn goes_on(mut house: House) -> House {
    house.settings.segment_bytes = 4 * SEGMENT;
    let house = house.again().await.expect("it opens");
    for _ in 0..10 {
        house.append(&message("t", 0, &"x".repeat(6_000))).await;
    }
    house
}

#[tokio::test]
async fn new_segments_have_the_size_of_the_old_and_it_is_handed_back() {
    let fixture = Fixture::new().await;
    let disk: Arc<dyn Disk> = fixture.disk();
    let ours = Path::new(ROOT).join("millstream");
    disk.remove_dir_all(&ours).expect("it is adopted");
    let house = goes_on(fixture.house).await;
    house.store.close().await.expect("it closes");
    let house = goes_on(house).await;
    let (_, end) = house.store.log_bounds();
    house.store.close().await.expect("it closes");
    let exported = export(&disk, &house.settings).expect("it is exported");
    assert_eq!(exported.segment_bytes, SEGMENT);
    assert_eq!(exported.segments, end.0.div_ceil(SEGMENT));
    assert!(exported.segments > 8, "{}", exported.segments);
}

//! The last record, cut at every byte.

use store::Error;

use crate::fixture::{
    Fixture, Place, SEGMENT, check, ends, open_file, repair, segment, served, serves,
};
use crate::house::{House, message, queue};

/// A few messages, of which the last is alone in its queue.
async fn small() -> House {
    let house = House::with(|settings| settings.hot_bytes = 0);
    for number in 0..12 {
        house
            .append(&message("t", number % 2, "one of twelve"))
            .await;
    }
    house.store.checkpoint().await.expect("it is saved");
    house.append(&message("last", 0, "the very last")).await;
    house
}

fn place_of_last() -> Place {
    let queue = queue("last", 0);
    Place { queue, offset: 0 }
}

fn zero(fixture: &Fixture, from: u64, to: u64) {
    let file = open_file(&fixture.disk(), &segment(0));
    let zeros = vec![0; (to - from) as usize];
    file.write_all_at(&zeros, from).expect("it is written");
}

#[tokio::test]
async fn torn_by_a_crash_it_is_cut_off_by_the_start_and_its_offset_is_free() {
    let size = Fixture::closed(small().await).await.record("last", 0, 0).1;
    for byte in 0..size {
        let house = small().await;
        let (served, ends) = (served(&house.store).await, ends(&house.store));
        let end = house.store.log_bounds().1.0;
        house.disk.kill();
        let fixture = Fixture {
            house,
            served,
            ends,
        };
        zero(&fixture, end - size + byte, end);
        let row = format!("cut at byte {byte}");
        let found = check(&fixture.disk());
        assert!(found.crashed && found.is_sound(), "{row}: {found:?}");
        // Sizes begin with zeros: then nothing is left of it.
        let left = &fixture.served[&place_of_last()].1[..byte as usize];
        let left = left
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        assert_eq!(found.findings.len(), usize::from(left > 0), "{row}");
        let house = fixture.house.again().await.expect("it opens");
        let cut = house.report.cut.as_ref();
        assert_eq!(cut.map_or(0, |cut| cut.bytes), left as u64, "{row}");
        let again = house.append(&message("last", 0, "instead")).await;
        assert_eq!((again.log_offset.0, again.queue_offset.0), (end - size, 0));
    }
}

#[tokio::test]
async fn damaged_after_an_orderly_stop_it_is_taken_out_and_its_offset_is_not_reused() {
    let size = Fixture::closed(small().await).await.record("last", 0, 0).1;
    for byte in (0..size).step_by(2) {
        let fixture = Fixture::closed(small().await).await;
        let at = fixture.record("last", 0, 0).0;
        zero(&fixture, at + byte, at + size);
        let row = format!("zeros from byte {byte}");
        let found = check(&fixture.disk());
        assert!(!found.is_sound(), "{row}");
        repair(&fixture.disk()).expect("it is mended");
        let expected = fixture.without(|place| place == at);
        serves(fixture.house, &expected, &fixture.ends, &row).await;
    }
}

#[tokio::test]
async fn with_its_file_cut_short_the_start_refuses_and_a_repair_goes_on_without_it() {
    let size = Fixture::closed(small().await).await.record("last", 0, 0).1;
    for byte in (0..size).step_by(5) {
        let fixture = Fixture::closed(small().await).await;
        let at = fixture.record("last", 0, 0).0;
        assert!(at < SEGMENT);
        let file = open_file(&fixture.disk(), &segment(0));
        file.set_len(at + byte).expect("it is cut");
        let row = format!("cut at byte {byte}");
        let house = fixture.house;
        let refused = House::open(
            house.disk.clone(),
            house.clock.clone(),
            house.settings.clone(),
        );
        let refused = refused
            .map(|_| ())
            .expect_err("a part of the log is missing");
        assert!(matches!(refused, Error::Refused { .. }), "{row}: {refused}");
        let disk = house.disk.mount();
        repair(&disk).unwrap_or_else(|why| panic!("{row}: {why}"));
        let mut expected = fixture.served;
        expected.retain(|_, (place, _)| *place != at);
        serves(house, &expected, &fixture.ends, &row).await;
    }
}

//! One row per kind of damage: what a start says, what a check says, what a repair does, and
//! what is served then.

use std::path::Path;

use model::{LogOffset, QueueOffset, Timestamp};
use runtime::Open;
use store::Error;

use crate::fixture::{
    Fixture, Place, SEGMENT, Served, check, contents, ends, open_file, repair, segment, served,
    serves, serves_without,
};
use crate::house::{House, ROOT, encode, message, queue};
use crate::rows::{ROWS, Row, heads, old_records_behind_the_end, rename};

#[track_caller]
fn say(row: &str, said: &[String], expected: &[&str]) {
    let fits = said.len() == expected.len()
        && said
            .iter()
            .zip(expected)
            .all(|(said, part)| said.contains(part));
    assert!(fits, "{row}: {said:#?} is not {expected:#?}");
}

async fn opens(row: &Row) {
    let fixture = Fixture::new().await;
    (row.damage)(&fixture);
    match (fixture.house.again().await, row.open) {
        (Ok(_), None) => {}
        (Err(Error::Refused { why, path }), Some(part)) => {
            assert!(why.contains(part), "{}: {why}", row.name);
            let said = Error::Refused { path, why }.to_string();
            assert!(said.contains("millstream store repair /store"), "{said}");
        }
        (Ok(_), Some(part)) => panic!("{}: it was opened, not refused: {part}", row.name),
        (Err(why), _) => panic!("{}: {why}", row.name),
    }
}

async fn is_mended(row: &Row) {
    let fixture = Fixture::new().await;
    (row.damage)(&fixture);
    let disk = fixture.disk();
    let before = contents(&disk);
    let found = check(&disk);
    assert!(contents(&disk) == before, "{}: a check wrote", row.name);
    let what: Vec<_> = found.findings.iter().map(|one| one.what.clone()).collect();
    say(row.name, &what, row.check);
    assert_eq!(found.is_sound(), row.check.is_empty(), "{}", row.name);
    say(row.name, &found.plan(), row.repair);

    say(row.name, &repair(&disk).expect("it is mended"), row.repair);
    let again = check(&disk);
    assert!(
        again.findings.is_empty(),
        "{}: {:#?}",
        row.name,
        again.findings
    );
    let mended = contents(&disk);
    assert_eq!(
        repair(&disk).expect("nothing is left"),
        Vec::<String>::new()
    );
    assert!(
        contents(&disk) == mended,
        "{}: a second repair wrote",
        row.name
    );

    let expected = fixture.without(|at| (row.lost)(&fixture, at));
    let gone = fixture.served.len() - expected.len();
    assert!(gone == 0 || !row.check.is_empty(), "{}", row.name);
    let places = fixture.served.values().map(|(at, _)| *at);
    let lost: Vec<_> = places.filter(|at| (row.lost)(&fixture, *at)).collect();
    serves_without(fixture.house, &expected, &fixture.ends, &lost, row.name).await;
}

#[tokio::test]
async fn a_start_refuses_what_a_person_has_to_look_at_and_names_the_command() {
    for row in ROWS {
        opens(row).await;
    }
}

#[tokio::test]
async fn every_undamaged_message_is_served_after_a_repair() {
    for row in ROWS {
        is_mended(row).await;
    }
}

/// A dozen messages in one segment.
async fn small() -> Fixture {
    let house = House::with(|settings| {
        settings.hot_bytes = 0;
        settings.segment_bytes = SEGMENT;
    });
    for number in 0..40 {
        house.append(&message("t", number % 2, "one of many")).await;
    }
    house.append(&message("last", 0, "the very last")).await;
    Fixture::closed(house).await
}

#[tokio::test]
async fn the_only_segment_under_another_name_is_not_taken_for_an_empty_log() {
    for heads in [true, false] {
        let fixture = small().await;
        rename(&fixture, &segment(0), &segment(SEGMENT));
        if !heads {
            fixture.house.forget_checkpoints();
        }
        let before = fixture.disk().read(&segment(SEGMENT)).expect("it is there");
        let House {
            disk,
            clock,
            settings,
            ..
        } = &fixture.house;
        let refused = House::open(disk.clone(), clock.clone(), settings.clone());
        let refused = refused.map(|_| ()).expect_err("it is renamed").to_string();
        assert!(refused.contains("holds the log from 0 on"), "{refused}");
        let after = fixture.disk().read(&segment(SEGMENT)).expect("it is there");
        assert!(before == after, "a start that refuses changes nothing");
        repair(&fixture.disk()).expect("it gets its name back");
        serves(fixture.house, &fixture.served, &fixture.ends, "renamed").await;
    }
}

#[tokio::test]
async fn a_start_that_has_to_cut_off_what_was_durable_gives_no_offset_out_again() {
    let fixture = small().await;
    for (path, bytes) in heads(&fixture, "queues") {
        let file = open_file(&fixture.disk(), &path);
        file.set_len(bytes / 2).expect("it is cut");
    }
    let (at, size) = fixture.record("last", 0, 0);
    let file = open_file(&fixture.disk(), &segment(0));
    file.write_all_at(&[0; 9], at + size - 9)
        .expect("it is written");
    let expected = fixture.without(|place| place == at);
    serves(fixture.house, &expected, &fixture.ends, "cut").await;
}

#[tokio::test]
async fn an_empty_file_whose_name_another_one_gets_goes_to_lost_and_found() {
    for stray in ["00000000000000098304", "a stray"] {
        let fixture = Fixture::new().await;
        let disk = fixture.disk();
        let last = segment(4 * SEGMENT);
        let renamed = disk.rename(&last, &last.with_file_name(stray));
        renamed.expect("it is there");
        disk.open(&last, Open::Create).expect("it is made");
        repair(&disk).expect("it is mended");
        let left = check(&disk);
        assert!(left.findings.is_empty(), "{stray}: {:?}", left.findings);
        serves(fixture.house, &fixture.served, &fixture.ends, stray).await;
    }
}

#[tokio::test]
async fn a_file_of_garbage_leaves_its_name_to_the_segment_that_lies_under_another() {
    for (len, stray) in [
        (SEGMENT, "a stray"),
        (SEGMENT, "00000000000000098304"),
        (SEGMENT - 300, "a stray"),
        (SEGMENT + 300, "a stray"),
    ] {
        let fixture = Fixture::new().await;
        let disk = fixture.disk();
        let name = segment(2 * SEGMENT);
        rename(&fixture, &name, &name.with_file_name(stray));
        let garbage = vec![0x55; len as usize];
        disk.replace(&name, &garbage).expect("it is written");
        let row = format!("{len} bytes of garbage, and {stray}");
        repair(&disk).unwrap_or_else(|why| panic!("{row}: {why}"));
        let left = check(&disk);
        assert!(left.findings.is_empty(), "{row}: {:#?}", left.findings);
        serves(fixture.house, &fixture.served, &fixture.ends, &row).await;
    }
}

#[tokio::test]
async fn a_repair_that_writes_over_the_last_old_record_leaves_no_rest_of_it() {
    let fixture = Fixture::new().await;
    let (_, old) = fixture.served.values().next_back().expect("a message");
    let end = fixture.house.store.log_bounds().1.0;
    let last = open_file(&fixture.disk(), &segment(end - end % SEGMENT));
    // Behind a zero word, as a file that is used again has them.
    last.write_all_at(old, end % SEGMENT + 8)
        .expect("it is written");
    assert!(
        check(&fixture.disk()).findings.is_empty(),
        "it is known to be old"
    );

    let (lost, _) = fixture.record("t", 0, 0);
    fixture.flip(lost + 90);
    repair(&fixture.disk()).expect("it is mended");
    let left = check(&fixture.disk());
    assert!(left.findings.is_empty(), "{:#?}", left.findings);
    assert_eq!(left.plan(), Vec::<String>::new());
    let expected = fixture.without(|place| place == lost);
    serves(fixture.house, &expected, &fixture.ends, "an old record").await;
}

/// Four segments, killed while only the first messages were in a checkpoint; then the log is
/// made to end at the first one behind that.
async fn ended_early() -> (Fixture, Served) {
    let house = House::with(|settings| {
        settings.hot_bytes = 0;
        settings.segment_bytes = SEGMENT;
    });
    house.append(&message("t", 0, "known to be durable")).await;
    house.store.checkpoint().await.expect("it is saved");
    let end = house.store.log_bounds().1.0;
    while house.store.log_bounds().1.0 < 3 * SEGMENT + 1_000 {
        house.append(&message("t", 0, &"x".repeat(400))).await;
    }
    let (served, ends) = (served(&house.store).await, ends(&house.store));
    house.disk.kill();
    let fixture = Fixture {
        house,
        served,
        ends,
    };
    fixture.flip(end + 90);
    let expected = fixture.without(|at| at >= end);
    (fixture, expected)
}

async fn files_behind_the_end_go(row: &str, damage: impl Fn(&Fixture)) {
    let (fixture, expected) = ended_early().await;
    damage(&fixture);
    repair(&fixture.disk()).unwrap_or_else(|why| panic!("{row}: {why}"));
    let left = check(&fixture.disk());
    assert!(left.findings.is_empty(), "{row}: {:#?}", left.findings);
    let house = fixture.house.again().await.expect("it was mended");
    assert!(served(&house.store).await == expected, "{row}");
}

#[tokio::test]
async fn files_behind_the_end_of_the_log_go_whatever_else_is_wrong_with_them() {
    let second = segment(SEGMENT);
    files_behind_the_end_go("nothing", |_| ()).await;
    files_behind_the_end_go("a file has another's name", |fixture| {
        rename(fixture, &segment(2 * SEGMENT), &segment(9 * SEGMENT));
    })
    .await;
    files_behind_the_end_go("the first file has the name of one of them", |fixture| {
        rename(fixture, &segment(0), &segment(2 * SEGMENT));
    })
    .await;
    files_behind_the_end_go("a file is too long", |fixture| {
        let file = open_file(&fixture.disk(), &second);
        file.set_len(SEGMENT + 1_000).expect("it grows");
    })
    .await;
    files_behind_the_end_go("a file is missing", |fixture| {
        fixture.disk().unlink(&second).expect("it is there");
    })
    .await;
    files_behind_the_end_go("a file is empty", |fixture| {
        open_file(&fixture.disk(), &second)
            .set_len(0)
            .expect("it is cut");
    })
    .await;
    files_behind_the_end_go("a file of zeros follows", |fixture| {
        let made = fixture.disk().open(&segment(4 * SEGMENT), Open::Create);
        made.and_then(|file| file.set_len(SEGMENT))
            .expect("it is made");
    })
    .await;
}

#[tokio::test]
async fn between_two_files_there_may_be_too_few_bytes_for_a_filler() {
    let mut fixture = Fixture::new().await;
    let (at, size) = fixture.record("t", 1, 3);
    let (end, disk) = (at + size, fixture.disk());
    let log = Path::new(ROOT).join("commitlog");
    for entry in disk.list(&log).expect("it is listed").iter().skip(1) {
        disk.unlink(&log.join(&entry.name)).expect("it is there");
    }
    let first = open_file(&disk, &segment(0));
    first.set_len(end).expect("it is cut");
    let next = encode(&message("late", 0, "it lies five bytes behind"));
    let next = next.place(QueueOffset(0), LogOffset(end + 5), Timestamp(1));
    let next = next.to_bytes().to_vec();
    let mut bytes = next.clone();
    bytes.resize(SEGMENT as usize, 0);
    let written = disk.replace(&segment(end + 5), &bytes);
    written.expect("it is written");
    repair(&disk).expect("it is mended");
    let mut expected = fixture.without(|at| at >= end);
    let (late, offset) = (queue("late", 0), 0);
    fixture.ends.insert(late.clone(), 1);
    let place = Place {
        queue: late,
        offset,
    };
    expected.insert(place, (end + 5, next));
    serves(fixture.house, &expected, &fixture.ends, "five bytes").await;
}

#[tokio::test]
async fn what_a_lost_record_says_is_looked_for_in_its_own_file_only() {
    let fixture = Fixture::new().await;
    let disk = fixture.disk();
    let end = fixture.record("last", 0, 0).0;
    let last = end - end % SEGMENT;
    let lost = last - SEGMENT;
    for (start, from) in [(lost, 200), (last, 0)] {
        let file = open_file(&disk, &segment(start));
        let garbage = vec![0x55; (SEGMENT - from) as usize];
        file.write_all_at(&garbage, from).expect("it is written");
    }
    let size = (SEGMENT as u32 + 1_000).to_be_bytes();
    let file = open_file(&disk, &segment(lost));
    file.write_all_at(&size, 0).expect("it is written");
    repair(&disk).expect("it is mended");
    let expected = fixture.without(|at| at >= lost);
    serves(fixture.house, &expected, &fixture.ends, "two files").await;
}

#[tokio::test]
async fn a_repair_that_makes_a_checkpoint_takes_away_what_a_start_refuses_beside_one() {
    let fixture = Fixture::new().await;
    old_records_behind_the_end(&fixture);
    for (path, _) in heads(&fixture, "heads") {
        let file = open_file(&fixture.disk(), &path);
        file.set_len(5).expect("it is cut");
    }
    repair(&fixture.disk()).expect("it is mended");
    let left = check(&fixture.disk());
    assert!(left.findings.is_empty(), "{:#?}", left.findings);
    assert_eq!(left.plan(), Vec::<String>::new());
    serves(fixture.house, &fixture.served, &fixture.ends, "cut").await;
}

#[tokio::test]
async fn a_checkpoint_under_the_last_of_all_numbers_is_none() {
    let fixture = Fixture::new().await;
    for (path, _) in heads(&fixture, "heads") {
        rename(&fixture, &path, &path.with_file_name(u64::MAX.to_string()));
    }
    let (quiet, _) = fixture.record("quiet", 0, 0);
    fixture.flip(quiet + 90);
    repair(&fixture.disk()).expect("it is mended");
    let left = check(&fixture.disk());
    assert!(left.findings.is_empty(), "{:#?}", left.findings);
    let expected = fixture.without(|at| at == quiet);
    serves(fixture.house, &expected, &fixture.ends, "the last number").await;
}

//! Kinds of damage, one row each.

use std::path::{Path, PathBuf};

use crate::fixture::{Fixture, SEGMENT, open_file, segment};
use crate::house::ROOT;

pub struct Row {
    pub name: &'static str,
    pub damage: fn(&Fixture),
    /// A part of the refusal; `None` if a start opens the store.
    pub open: Option<&'static str>,
    /// A part of every finding, in order.
    pub check: &'static [&'static str],
    /// The steps of the repair.
    pub repair: &'static [&'static str],
    /// Which records are gone, by the place in the log.
    pub lost: fn(&Fixture, u64) -> bool,
}

/// A message in the second segment, which is cold: its head, its body, its properties.
fn flip_in(fixture: &Fixture, topic: &str, offset: u64, byte: impl Fn(u64) -> u64) {
    let (at, size) = fixture.record(topic, 0, offset);
    fixture.flip(at + byte(size));
}

fn is(fixture: &Fixture, topic: &str, offset: u64, at: u64) -> bool {
    fixture.record(topic, 0, offset).0 == at
}

pub fn heads(fixture: &Fixture, kind: &str) -> Vec<(PathBuf, u64)> {
    let directory = Path::new(ROOT).join("millstream").join(kind);
    let listed = fixture.disk().list(&directory).expect("it is listed");
    let files = listed
        .iter()
        .map(|file| (directory.join(&file.name), file.len));
    files.collect()
}

pub fn rename(fixture: &Fixture, from: &Path, to: &Path) {
    fixture.disk().rename(from, to).expect("it is there");
}

/// One more file behind the last of the log.
fn add_file(fixture: &Fixture, bytes: &[u8]) {
    let disk = fixture.disk();
    let log = Path::new(ROOT).join("commitlog");
    let files = disk.list(&log).expect("it is listed").len() as u64;
    let added = disk.replace(&segment(files * SEGMENT), bytes);
    added.expect("it is written");
}

/// In a file whose first bytes are no record.
pub fn old_records_behind_the_end(fixture: &Fixture) {
    let mut old = fixture.disk().read(&segment(SEGMENT)).expect("a file");
    old[3] ^= 1;
    add_file(fixture, &old);
}

const FILL: &str = "and put a filler there";
const TELL: &str = "append a record that names the";
const FORGET: &str = "drop checkpoints, queue index and files of keys";

pub const ROWS: &[Row] = &[
    Row {
        name: "nothing",
        damage: |_| (),
        open: None,
        check: &[],
        repair: &[],
        lost: |_, _| false,
    },
    Row {
        name: "a bit of a cold record's body",
        damage: |fixture| flip_in(fixture, "t", 15, |_| 120),
        open: None,
        check: &["bytes are damaged: the record has checksum"],
        repair: &[TELL, FORGET, FILL],
        lost: |fixture, at| is(fixture, "t", 15, at),
    },
    Row {
        name: "a bit of a cold record's size",
        damage: |fixture| flip_in(fixture, "t", 15, |_| 2),
        open: None,
        check: &["are damaged"],
        repair: &[TELL, FORGET, FILL],
        lost: |fixture, at| is(fixture, "t", 15, at),
    },
    Row {
        name: "a bit of a cold record's queue offset",
        damage: |fixture| flip_in(fixture, "t", 15, |_| 24),
        open: None,
        check: &["are damaged"],
        repair: &[TELL, FORGET, FILL],
        lost: |fixture, at| is(fixture, "t", 15, at),
    },
    Row {
        name: "a bit of a cold record's property",
        damage: |fixture| flip_in(fixture, "t", 15, |size| size - 12),
        open: None,
        check: &["are damaged"],
        repair: &[TELL, FORGET, FILL],
        lost: |fixture, at| is(fixture, "t", 15, at),
    },
    Row {
        name: "the only message of a queue",
        damage: |fixture| flip_in(fixture, "quiet", 0, |_| 90),
        open: None,
        check: &["are damaged"],
        repair: &[TELL, FORGET, FILL],
        lost: |fixture, at| is(fixture, "quiet", 0, at),
    },
    Row {
        name: "a member of a group",
        damage: |fixture| flip_in(fixture, "group", 1, |_| 90),
        open: None,
        check: &["a part of a group is missing", "are damaged"],
        repair: &[TELL, FORGET, FILL, FILL],
        lost: |fixture, at| is(fixture, "group", 1, at),
    },
    Row {
        name: "two neighbours",
        damage: |fixture| {
            let (at, size) = fixture.record("t", 0, 15);
            fixture.flip(at + 130);
            fixture.flip(at + size + 130);
        },
        open: None,
        check: &["are damaged"],
        repair: &[TELL, FORGET, FILL],
        lost: |fixture, at| {
            let (first, size) = fixture.record("t", 0, 15);
            at == first || at == first + size
        },
    },
    Row {
        name: "the last record of a segment",
        damage: |fixture| fixture.flip(last_of_first_segment(fixture) + 3),
        open: None,
        check: &["are damaged"],
        repair: &[TELL, FORGET, FILL],
        lost: |fixture, at| at == last_of_first_segment(fixture),
    },
    Row {
        name: "a bit of the filler that ends a segment",
        damage: |fixture| {
            let (at, size) = (last_of_first_segment(fixture), size_of_last(fixture));
            fixture.flip(at + size + 5);
        },
        open: None,
        check: &["are damaged"],
        repair: &["names the 320 bytes", FORGET, FILL],
        lost: |_, _| false,
    },
    Row {
        name: "the last record of the log, torn",
        damage: |fixture| {
            let (at, size) = fixture.record("last", 0, 0);
            let file = open_file(&fixture.disk(), &segment(at - at % SEGMENT));
            file.write_all_at(&[0; 30], at % SEGMENT + size - 30)
                .expect("it is written");
        },
        open: None,
        check: &["the log ends here, and did not"],
        repair: &["end the log there", TELL, FORGET],
        lost: |fixture, at| is(fixture, "last", 0, at),
    },
    Row {
        name: "a zero-length segment in the middle",
        damage: |fixture| {
            let file = open_file(&fixture.disk(), &segment(2 * SEGMENT));
            file.set_len(0).expect("it is cut");
        },
        open: Some("the segment 00000000000000032768 is empty"),
        check: &["is empty", "the log from 32768 to 49152 is missing"],
        repair: &["16384 bytes long", TELL, FORGET, FILL],
        lost: |_, at| (2 * SEGMENT..3 * SEGMENT).contains(&at),
    },
    Row {
        name: "a missing segment in the middle",
        damage: |fixture| {
            fixture
                .disk()
                .unlink(&segment(2 * SEGMENT))
                .expect("it is there");
        },
        open: Some("the log from 32768 to 49152 is missing"),
        check: &["the log from 32768 to 49152 is missing"],
        repair: &[
            "make commitlog/00000000000000032768 16384",
            TELL,
            FORGET,
            FILL,
        ],
        lost: |_, at| (2 * SEGMENT..3 * SEGMENT).contains(&at),
    },
    Row {
        name: "the first segment missing",
        damage: |fixture| fixture.disk().unlink(&segment(0)).expect("it is there"),
        open: Some("its files begin at 16384"),
        check: &["its files begin at 16384"],
        repair: &[FORGET],
        lost: |_, at| at < SEGMENT,
    },
    Row {
        name: "the last two segments missing",
        damage: |fixture| {
            remove_from(fixture, 3 * SEGMENT);
        },
        open: Some("durably, but its files end at 49152"),
        check: &["durably, but its files end at 49152"],
        repair: &[TELL, FORGET],
        lost: |_, at| at >= 3 * SEGMENT,
    },
    Row {
        name: "the last two segments missing, and the end of what is left torn",
        damage: |fixture| {
            remove_from(fixture, 3 * SEGMENT);
            fixture.flip(last_before(fixture, 3 * SEGMENT) + 3);
            let (last, end) = (last_before(fixture, 3 * SEGMENT), 3 * SEGMENT);
            let zeros = vec![0; (end - last - 40) as usize];
            let file = open_file(&fixture.disk(), &segment(2 * SEGMENT));
            file.write_all_at(&zeros, (last + 40) % SEGMENT)
                .expect("it is written");
        },
        open: Some("durably, but its files end at 49152"),
        check: &[
            "durably, but its files end at 49152",
            "the log ends here, and did not",
        ],
        repair: &["end the log there", TELL, FORGET],
        lost: |fixture, at| at >= last_before(fixture, 3 * SEGMENT),
    },
    Row {
        name: "a segment cut short",
        damage: |fixture| {
            let file = open_file(&fixture.disk(), &segment(SEGMENT));
            file.set_len(SEGMENT - 900).expect("it is cut");
        },
        open: Some("is missing: no file holds it"),
        check: &["is missing: no file holds it", "are damaged"],
        repair: &["16384 bytes long", TELL, FORGET, FILL],
        lost: |fixture, at| {
            (SEGMENT..2 * SEGMENT).contains(&at)
                && fixture.served.values().any(|(place, bytes)| {
                    *place == at && at + bytes.len() as u64 > 2 * SEGMENT - 900
                })
        },
    },
    Row {
        name: "a segment that is too long",
        damage: |fixture| {
            let file = open_file(&fixture.disk(), &segment(SEGMENT));
            file.write_all_at(b"more than there should be", SEGMENT)
                .expect("it is written");
        },
        open: Some("goes on behind 32768, where 00000000000000032768 begins"),
        check: &["goes on behind 32768"],
        repair: &["has behind its first 16384 bytes to lost+found"],
        lost: |_, _| false,
    },
    Row {
        name: "a foreign file",
        damage: |fixture| {
            let stray = Path::new(ROOT).join("commitlog/notes.txt");
            fixture
                .disk()
                .replace(&stray, b"mine")
                .expect("it is written");
        },
        open: Some("\"notes.txt\" in the log's directory is not a segment"),
        check: &["is not a segment"],
        repair: &["move commitlog/notes.txt to lost+found"],
        lost: |_, _| false,
    },
    Row {
        name: "a copy of a segment",
        damage: |fixture| {
            let bytes = fixture.disk().read(&segment(0)).expect("it is there");
            let copy = Path::new(ROOT).join("commitlog/00000000000000000000.bak");
            fixture
                .disk()
                .replace(&copy, &bytes)
                .expect("it is written");
        },
        open: Some("holds the log from 0 on: it has been renamed or copied"),
        check: &["renamed or copied"],
        repair: &["move commitlog/00000000000000000000.bak to lost+found"],
        lost: |_, _| false,
    },
    Row {
        name: "a file of a segment's name that is none",
        damage: |fixture| {
            let stray = segment(100);
            fixture
                .disk()
                .replace(&stray, b"not a segment")
                .expect("it is written");
        },
        open: Some("the segment 00000000000000000100 has no place in the log"),
        check: &["has no place in the log"],
        repair: &["move commitlog/00000000000000000100 to lost+found"],
        lost: |_, _| false,
    },
    Row {
        name: "a file of the last name a segment could have",
        damage: |fixture| {
            let stray = segment(u64::MAX);
            fixture
                .disk()
                .replace(&stray, b"not a segment")
                .expect("it is written");
        },
        open: Some("\"18446744073709551615\" in the log's directory is not a segment"),
        check: &["is not a segment"],
        repair: &["move commitlog/18446744073709551615 to lost+found"],
        lost: |_, _| false,
    },
    Row {
        name: "a file behind the end that holds something else",
        damage: |fixture| add_file(fixture, &[b'x'; 5_000]),
        open: Some("has no place in the log and holds no record of it"),
        check: &["has no place in the log"],
        repair: &["to lost+found"],
        lost: |_, _| false,
    },
    Row {
        name: "a file of old records behind the end, whose first is damaged",
        damage: old_records_behind_the_end,
        open: Some("has no place in the log and holds no record of it"),
        check: &["has no place in the log"],
        repair: &["to lost+found"],
        lost: |_, _| false,
    },
    Row {
        name: "a renamed segment in the middle",
        damage: |fixture| rename(fixture, &segment(SEGMENT), &segment(77 * SEGMENT)),
        open: Some("the file 00000000000001261568 holds the log from 16384 on"),
        check: &["renamed or copied"],
        repair: &["rename commitlog/00000000000001261568 to 00000000000000016384"],
        lost: |_, _| false,
    },
    Row {
        name: "a segment renamed to what is no segment's name",
        damage: |fixture| {
            let to = Path::new(ROOT).join("commitlog/00000000000000016384.old");
            rename(fixture, &segment(SEGMENT), &to);
        },
        open: Some("holds the log from 16384 on"),
        check: &["renamed or copied"],
        repair: &["rename commitlog/00000000000000016384.old to 00000000000000016384"],
        lost: |_, _| false,
    },
    Row {
        name: "two segments that have each other's names",
        damage: |fixture| {
            let aside = Path::new(ROOT).join("commitlog/aside");
            rename(fixture, &segment(0), &aside);
            rename(fixture, &segment(SEGMENT), &segment(0));
            rename(fixture, &aside, &segment(SEGMENT));
        },
        open: Some("the file 00000000000000000000 holds the log from 16384 on"),
        check: &["renamed or copied", "renamed or copied"],
        repair: &[
            "rename commitlog/00000000000000000000 to 00000000000000016384",
            "rename commitlog/00000000000000016384 to 00000000000000000000",
        ],
        lost: |_, _| false,
    },
    Row {
        name: "a damaged checkpoint",
        damage: |fixture| {
            for (path, bytes) in heads(fixture, "heads") {
                for at in (20..bytes).step_by(97) {
                    fixture
                        .house
                        .disk
                        .flip_bit(&path, at, 1)
                        .expect("it is there");
                }
            }
        },
        open: None,
        check: &["the checkpoint is damaged"],
        repair: &[FORGET],
        lost: |_, _| false,
    },
    Row {
        name: "a damaged index log",
        damage: |fixture| {
            for (path, bytes) in heads(fixture, "queues") {
                for at in (20..bytes).step_by(97) {
                    fixture
                        .house
                        .disk
                        .flip_bit(&path, at, 1)
                        .expect("it is there");
                }
            }
        },
        open: None,
        check: &[
            "of t:0 is damaged",
            "of t:1 is damaged",
            "of t:2 is damaged",
        ],
        repair: &[FORGET],
        lost: |_, _| false,
    },
    Row {
        name: "a truncated index log",
        damage: |fixture| {
            for (path, bytes) in heads(fixture, "queues") {
                let file = open_file(&fixture.disk(), &path);
                file.set_len(bytes / 2).expect("it is cut");
            }
        },
        open: None,
        check: &["the end of the queue index is missing"],
        repair: &[FORGET],
        lost: |_, _| false,
    },
];

/// Takes away every segment from there on.
fn remove_from(fixture: &Fixture, from: u64) {
    let disk = fixture.disk();
    let log = Path::new(ROOT).join("commitlog");
    for entry in disk.list(&log).expect("it is listed") {
        let start: u64 = entry.name.parse().expect("a segment");
        if start >= from {
            disk.unlink(&segment(start)).expect("it is there");
        }
    }
}

fn last_of_first_segment(fixture: &Fixture) -> u64 {
    last_before(fixture, SEGMENT)
}

/// Where the last record in front of `end` begins.
fn last_before(fixture: &Fixture, end: u64) -> u64 {
    let places = fixture.served.values().map(|(at, _)| *at);
    places.filter(|at| *at < end).max().expect("records")
}

fn size_of_last(fixture: &Fixture) -> u64 {
    let last = last_of_first_segment(fixture);
    let mut records = fixture.served.values();
    let found = records.find(|(at, _)| *at == last);
    found.expect("a record").1.len() as u64
}

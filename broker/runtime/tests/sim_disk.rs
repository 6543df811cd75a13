//! What a crash may take from a simulated disk, and what it may not.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::{DiskFailure, Faults, File, Open, Operation, Rng, SimDisk};

const SECTOR: usize = 512;
const SEEDS: u64 = 300;

fn root() -> &'static Path {
    Path::new("/data")
}

fn new_disk(seed: u64) -> SimDisk {
    let sim = SimDisk::new(Rng::seeded(seed).split("disk"));
    sim.mount().create_dir_all(root()).unwrap();
    sim
}

/// A file whose name and first bytes are durable.
fn durable_file(sim: &SimDisk, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let disk = sim.mount();
    let file = disk.open(&root().join(name), Open::Create).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.fdatasync().unwrap();
    disk.fsync_dir(root()).unwrap();
    file
}

fn read(sim: &SimDisk, name: &str) -> Vec<u8> {
    sim.mount().read(&root().join(name)).unwrap()
}

/// One file as a list of everything each sector and the length have been since the last sync.
#[derive(Default)]
struct Model {
    bytes: Vec<u8>,
    lengths: BTreeSet<usize>,
    sectors: BTreeMap<usize, BTreeSet<[u8; SECTOR]>>,
}

impl Model {
    fn sector(&self, sector: usize) -> [u8; SECTOR] {
        let mut held = [0; SECTOR];
        let start = (sector * SECTOR).min(self.bytes.len());
        let end = (start + SECTOR).min(self.bytes.len());
        held[..end - start].copy_from_slice(&self.bytes[start..end]);
        held
    }

    fn count(&self) -> usize {
        self.lengths
            .iter()
            .copied()
            .chain([self.bytes.len()])
            .max()
            .unwrap_or(0)
            .div_ceil(SECTOR)
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let before: Vec<_> = (0..self.count())
            .map(|sector| self.sector(sector))
            .collect();
        self.lengths.insert(self.bytes.len());
        change(&mut self.bytes);
        self.lengths.insert(self.bytes.len());
        for sector in 0..self.count() {
            let old = before.get(sector).copied().unwrap_or([0; SECTOR]);
            let new = self.sector(sector);
            if old != new {
                self.sectors.entry(sector).or_default().extend([old, new]);
            }
        }
    }

    fn sync(&mut self) {
        self.lengths.clear();
        self.sectors.clear();
    }

    /// Takes over what a crash has left, if it may be that.
    fn accept(&mut self, found: Vec<u8>) -> Result<(), String> {
        let (low, high) = (
            self.lengths.first().copied().unwrap_or(self.bytes.len()),
            self.lengths.last().copied().unwrap_or(self.bytes.len()),
        );
        if !(low..=high).contains(&found.len()) {
            return Err(format!("length {} is not in {low}..={high}", found.len()));
        }
        for (sector, held) in found.chunks(SECTOR).enumerate() {
            let now = self.sector(sector);
            let forms = self.sectors.get(&sector);
            let allowed = forms.into_iter().flatten().chain([&now]);
            // The last sector may be cut short by the length.
            if !allowed.into_iter().any(|form| &form[..held.len()] == held) {
                return Err(format!("sector {sector} holds what it never held"));
            }
        }
        *self = Model {
            bytes: found,
            ..Model::default()
        };
        Ok(())
    }
}

/// Random work on four files with crashes in between, against the model.
fn run_against_model(seed: u64) -> Vec<Vec<u8>> {
    let rng = Rng::seeded(seed).split("work");
    let sim = new_disk(seed);
    let names = ["a", "b", "c", "d"];
    let mut models: Vec<Model> = names.iter().map(|_| Model::default()).collect();
    for name in names {
        durable_file(&sim, name, b"");
    }
    for _ in 0..6 {
        let disk = sim.mount();
        let files: Vec<_> = names
            .iter()
            .map(|name| disk.open(&root().join(name), Open::Write).unwrap())
            .collect();
        for _ in 0..rng.range(1..40) {
            let index = rng.range(0..4) as usize;
            let (file, model) = (&files[index], &mut models[index]);
            match rng.range(0..10) {
                0..6 => {
                    let at = rng.range(0..6000) as usize;
                    let mut bytes = vec![0; rng.range(1..3000) as usize];
                    rng.fill(&mut bytes);
                    file.write_all_at(&bytes, at as u64).unwrap();
                    model.change(|held| {
                        let end = held.len().max(at + bytes.len());
                        held.resize(end, 0);
                        held[at..at + bytes.len()].copy_from_slice(&bytes);
                    });
                }
                6 => {
                    let len = rng.range(0..9000) as usize;
                    file.set_len(len as u64).unwrap();
                    model.change(|held| held.resize(len, 0));
                }
                7 => {
                    let len = rng.range(0..9000) as usize;
                    file.allocate(len as u64).unwrap();
                    model.change(|held| held.resize(held.len().max(len), 0));
                }
                _ => {
                    file.fdatasync().unwrap();
                    model.sync();
                }
            }
            let mut held = vec![0; model.bytes.len() + 1];
            assert_eq!(file.pread(&mut held, 0).unwrap(), model.bytes.len());
            assert!(
                held.starts_with(&model.bytes),
                "seed {seed}: a read differs from what was written"
            );
        }
        if rng.chance(0.2) {
            sim.kill();
        } else {
            sim.crash();
            for (name, model) in names.iter().zip(&mut models) {
                model
                    .accept(read(&sim, name))
                    .unwrap_or_else(|why| panic!("seed {seed}, file {name}: {why}"));
            }
        }
    }
    names.iter().map(|name| read(&sim, name)).collect()
}

#[test]
fn synced_bytes_survive_and_others_survive_by_sectors() {
    for seed in 0..SEEDS {
        run_against_model(seed);
    }
}

#[test]
fn the_same_seed_leaves_the_same_bytes() {
    for seed in 0..20 {
        assert_eq!(run_against_model(seed), run_against_model(seed));
    }
    assert_ne!(run_against_model(1), run_against_model(2));
}

#[test]
fn a_crash_tears_a_write_in_every_way() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..SEEDS {
        let sim = new_disk(seed);
        let file = durable_file(&sim, "f", &[b'-'; 4 * SECTOR]);
        file.write_all_at(&[b'x'; 4 * SECTOR], 0).unwrap();
        sim.crash();
        let held = read(&sim, "f");
        assert!(
            held.chunks(SECTOR)
                .all(|sector| sector.iter().all(|byte| *byte == sector[0]))
        );
        outcomes.insert(
            held.chunks(SECTOR)
                .map(|sector| sector[0] as char)
                .collect::<String>(),
        );
    }
    assert_eq!(outcomes.len(), 16, "{outcomes:?}");
}

#[test]
fn an_overwritten_sector_may_come_back_in_its_middle_form() {
    let found: BTreeSet<u8> = (0..SEEDS)
        .map(|seed| {
            let sim = new_disk(seed);
            let file = durable_file(&sim, "f", b"0");
            file.write_all_at(b"1", 0).unwrap();
            file.write_all_at(b"2", 0).unwrap();
            sim.crash();
            read(&sim, "f")[0]
        })
        .collect();
    assert_eq!(found, BTreeSet::from([b'0', b'1', b'2']));
}

/// What each name may lead to: the tag its file was made with.
type Names = BTreeMap<String, Option<u8>>;

#[test]
fn names_survive_from_their_last_directory_sync_on() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..SEEDS {
        let rng = Rng::seeded(seed).split("work");
        let sim = new_disk(seed);
        let disk = sim.mount();
        let mut now = Names::new();
        let mut possible: BTreeMap<String, BTreeSet<Option<u8>>> = BTreeMap::new();
        for tag in 0..rng.range(1..30) as u8 {
            let name = |number| format!("f{number}");
            let (one, other) = (name(rng.range(0..5)), name(rng.range(0..5)));
            let has = |name: &String| now.get(name).copied().flatten();
            let mut changes = Vec::new();
            match (rng.range(0..5), has(&one)) {
                (0, _) => {
                    disk.fsync_dir(root()).unwrap();
                    possible.clear();
                }
                (1, Some(_)) => {
                    disk.unlink(&root().join(&one)).unwrap();
                    changes.push((one, None));
                }
                (2, Some(held)) if one != other => {
                    disk.rename(&root().join(&one), &root().join(&other))
                        .unwrap();
                    changes.extend([(one, None), (other, Some(held))]);
                }
                (_, None) => {
                    let file = disk.open(&root().join(&one), Open::Create).unwrap();
                    file.write_all_at(&[tag], 0).unwrap();
                    file.fdatasync().unwrap();
                    changes.push((one, Some(tag)));
                }
                _ => {}
            }
            for (name, value) in changes {
                let before = now.insert(name.clone(), value).flatten();
                possible.entry(name).or_default().extend([before, value]);
            }
        }
        sim.crash();
        let disk = sim.mount();
        for number in 0..5 {
            let name = format!("f{number}");
            let found = disk.read(&root().join(&name)).ok().map(|bytes| bytes[0]);
            let current = now.get(&name).copied().flatten();
            match possible.get(&name) {
                Some(possible) => {
                    assert!(possible.contains(&found), "seed {seed}, {name}: {found:?}")
                }
                None => assert_eq!(found, current, "seed {seed}, {name} was synced"),
            }
            if found == current {
                kept += 1
            } else {
                lost += 1
            }
        }
    }
    assert!(lost > 0 && kept > 0, "{lost} lost, {kept} kept");
}

#[test]
fn replacing_a_file_is_atomic_wherever_the_power_fails() {
    let mut found = BTreeMap::new();
    for seed in 0..SEEDS {
        let sim = new_disk(seed);
        durable_file(&sim, "f", &[b'o'; 1500]);
        sim.power_fails_after(seed % 8);
        let done = sim
            .mount()
            .replace(&root().join("f"), &[b'n'; 2500])
            .is_ok();
        sim.crash();
        let held = read(&sim, "f");
        assert!(
            held == [b'o'; 1500] || held == [b'n'; 2500],
            "seed {seed}: neither old nor new"
        );
        assert!(
            !done || held[0] == b'n',
            "seed {seed}: a replacement that succeeded was lost"
        );
        *found.entry((done, held[0])).or_insert(0) += 1;
    }
    assert_eq!(
        found.len(),
        3,
        "old, new unacknowledged, new acknowledged: {found:?}"
    );
}

#[test]
fn a_failed_sync_is_followed_by_one_that_lies() {
    for seed in 0..SEEDS {
        let sim = new_disk(seed);
        let file = durable_file(&sim, "f", &[b'-'; 3 * SECTOR]);
        file.write_all_at(&[b'x'; 3 * SECTOR], 0).unwrap();
        sim.fail_next(Operation::Sync, DiskFailure::Io);
        assert_eq!(file.fdatasync().unwrap_err().raw_os_error(), Some(5));
        assert_eq!(
            read(&sim, "f"),
            [b'x'; 3 * SECTOR],
            "the cache hides the loss"
        );
        file.fdatasync().unwrap();
        sim.crash();
        assert!(
            read(&sim, "f").contains(&b'-'),
            "seed {seed}: the retried sync wrote the bytes after all"
        );
    }
}

#[test]
fn what_is_written_after_a_failed_sync_can_still_be_synced() {
    let sim = new_disk(3);
    let file = durable_file(&sim, "f", &[b'-'; SECTOR]);
    sim.arm(Faults {
        sync_error: 1.0,
        ..Faults::default()
    });
    assert!(file.fdatasync().is_err());
    sim.disarm();
    file.write_all_at(&[b'x'; SECTOR], 0).unwrap();
    file.fdatasync().unwrap();
    sim.crash();
    assert_eq!(read(&sim, "f"), [b'x'; SECTOR]);
}

#[test]
fn a_killed_program_loses_nothing_it_wrote() {
    let sim = new_disk(1);
    let disk = sim.mount();
    let file = disk.open(&root().join("f"), Open::Create).unwrap();
    file.write_all_at(&[7; 5000], 0).unwrap();
    sim.kill();
    assert_eq!(read(&sim, "f"), [7; 5000]);
}

#[test]
fn what_was_open_before_a_crash_is_dead() {
    for kill in [true, false] {
        let sim = new_disk(1);
        let (disk, file) = (sim.mount(), durable_file(&sim, "f", b"abc"));
        let lock = disk.lock(&root().join("lock")).unwrap();
        if kill {
            sim.kill()
        } else {
            sim.crash()
        }
        assert!(
            file.write_all_at(b"x", 0).is_err() && file.fdatasync().is_err() && file.len().is_err()
        );
        assert!(file.pread(&mut [0], 0).is_err() && file.map().is_err());
        assert!(disk.open(&root().join("g"), Open::Create).is_err() && disk.list(root()).is_err());
        let again = sim.mount().lock(&root().join("lock")).unwrap();
        drop((lock, file));
        assert!(
            sim.mount().lock(&root().join("lock")).is_err(),
            "the old life's lock freed the new one's"
        );
        drop(again);
        assert_eq!(read(&sim, "f"), b"abc");
    }
}

#[test]
fn the_power_fails_after_the_given_number_of_changes() {
    let sim = new_disk(1);
    let file = durable_file(&sim, "f", b"");
    sim.power_fails_after(2);
    file.write_all_at(b"1", 0).unwrap();
    file.pread(&mut [0], 0).unwrap();
    file.write_all_at(b"2", 0).unwrap();
    assert!(sim.has_power());
    assert!(file.write_all_at(b"3", 0).is_err() && !sim.has_power());
    assert!(file.pread(&mut [0], 0).is_err());
    sim.crash();
    assert!(sim.has_power() && matches!(read(&sim, "f")[..], [] | [0] | [b'1'] | [b'2']));
}

#[test]
fn a_full_disk_refuses_more_and_takes_it_once_a_file_is_gone() {
    let sim = new_disk(1);
    let disk = sim.mount();
    sim.set_capacity(Some(8192));
    let full = |result: io::Result<()>| result.unwrap_err().kind() == io::ErrorKind::StorageFull;
    let first = disk.open(&root().join("a"), Open::Create).unwrap();
    first.allocate(6000).unwrap();
    let second = disk.open(&root().join("b"), Open::Create).unwrap();
    assert!(full(second.allocate(4096)) && full(second.write_all_at(&[1; 4096], 0)));
    assert_eq!(second.len().unwrap(), 0);
    first
        .write_all_at(&[1; 6000], 0)
        .expect("allocated space is there");
    assert_eq!(disk.space(root()).unwrap().available, 8192 - 6144);
    disk.unlink(&root().join("a")).unwrap();
    assert!(
        full(second.allocate(4096)),
        "an open handle keeps its space"
    );
    drop(first);
    second.allocate(4096).unwrap();
}

#[test]
fn armed_faults_happen_where_they_are_armed_and_nowhere_else() {
    let sim = new_disk(5);
    let (inside, outside) = (
        durable_file(&sim, "inside", &[1; 100]),
        durable_file(&sim, "outside", &[1; 100]),
    );
    let mut into = [0; 100];
    sim.arm(Faults {
        within: Some(root().join("inside")),
        short_write: 1.0,
        read_error: 1.0,
        read_would_wait: 1.0,
        sync_error: 1.0,
        no_space_at_allocate: 1.0,
        ..Faults::default()
    });
    let taken = inside.pwritev(&[io::IoSlice::new(&[2; 100])], 0).unwrap();
    assert!((1..100).contains(&taken));
    assert!(inside.pread(&mut into, 0).is_err() && inside.map().is_err());
    assert_eq!(inside.pread_nowait(&mut into, 0).unwrap(), None);
    assert!(inside.fdatasync().is_err() && inside.allocate(1).is_err());
    outside.write_all_at(&[2; 100], 0).unwrap();
    assert_eq!(
        outside.pwritev(&[io::IoSlice::new(&[2; 100])], 0).unwrap(),
        100
    );
    assert_eq!(outside.pread_nowait(&mut into, 0).unwrap(), Some(100));
    outside
        .fdatasync()
        .and_then(|()| outside.allocate(1))
        .unwrap();
    sim.arm(Faults {
        write_error: 1.0,
        ..Faults::default()
    });
    assert_eq!(
        outside
            .write_all_at(&[3; 100], 0)
            .unwrap_err()
            .raw_os_error(),
        Some(5)
    );
    sim.arm(Faults {
        no_space_at_write: 1.0,
        ..Faults::default()
    });
    assert_eq!(
        outside.write_all_at(&[3; 100], 50).unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    outside
        .write_all_at(&[3; 100], 0)
        .expect("space that is held cannot run out");
}

#[test]
fn only_cold_bytes_rot_and_one_bit_at_a_time() {
    let sim = new_disk(9);
    let file = durable_file(&sim, "f", &[0x55; 4 * SECTOR]);
    sim.arm(Faults {
        cold_bit_flip: 1.0,
        ..Faults::default()
    });
    assert_eq!(read(&sim, "f"), [0x55; 4 * SECTOR], "still in the cache");
    sim.cool();
    file.write_all_at(&[0x55; 4 * SECTOR], 0).unwrap();
    assert_eq!(read(&sim, "f"), [0x55; 4 * SECTOR], "in the cache again");
    file.fdatasync().unwrap();
    sim.cool();
    let wrong = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| (byte ^ 0x55).count_ones())
            .sum::<u32>()
    };
    let first = read(&sim, "f");
    assert_eq!(wrong(&first), 1);
    sim.disarm();
    assert_eq!(read(&sim, "f"), first, "rot stays");
    sim.flip_bit(&root().join("f"), 700, 3).unwrap();
    sim.crash();
    assert_eq!(read(&sim, "f")[700] ^ first[700], 1 << 3);
}

#[test]
fn what_a_file_gets_when_it_grows_is_zeros_and_has_not_rotten() {
    let sim = new_disk(9);
    let file = durable_file(&sim, "f", &[0x55; 10]);
    sim.flip_bit(&root().join("f"), 10, 3).unwrap();
    file.set_len(12).unwrap();
    assert_eq!(read(&sim, "f")[10..], [0, 0]);
    file.fdatasync().unwrap();
    sim.crash();
    assert_eq!(read(&sim, "f")[10..], [0, 0]);
}

#[test]
fn what_rots_before_it_is_written_back_stays_rotten() {
    let sim = new_disk(9);
    let file = durable_file(&sim, "f", &[0x55; 20]);
    file.set_len(10).unwrap();
    sim.flip_bit(&root().join("f"), 5, 3).unwrap();
    let rotten = read(&sim, "f");
    assert_eq!(rotten[5], 0x55 ^ 1 << 3);
    file.fdatasync().unwrap();
    sim.crash();
    assert_eq!(read(&sim, "f"), rotten);
}

#[test]
fn a_hook_sees_every_call_before_it_happens() {
    let sim = new_disk(1);
    let seen: Arc<std::sync::Mutex<Vec<(Operation, PathBuf)>>> = Arc::default();
    let (sink, inner) = (seen.clone(), sim.clone());
    sim.on_call(move |operation, path| {
        // No lock is held: the hook may look at the disk.
        inner.calls(operation);
        sink.lock().unwrap().push((operation, path.to_owned()));
    });
    durable_file(&sim, "f", b"x");
    let operations: Vec<_> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|(operation, _)| *operation)
        .collect();
    assert_eq!(
        operations,
        [
            Operation::Open,
            Operation::Write,
            Operation::Sync,
            Operation::SyncDir
        ]
    );
    assert_eq!(sim.calls(Operation::Sync), 1);
}

#[test]
fn a_swarm_leaves_faults_out_and_puts_faults_in() {
    let swarms: Vec<Faults> = (0..50)
        .map(|seed| Faults::swarm(&Rng::seeded(seed)))
        .collect();
    assert!(swarms.iter().any(|faults| faults.sync_error == 0.0));
    assert!(
        swarms
            .iter()
            .any(|faults| faults.sync_error > 0.0 && faults.short_write == 0.0)
    );
    assert_eq!(
        Faults::swarm(&Rng::seeded(4)),
        Faults::swarm(&Rng::seeded(4))
    );
}

//! What every disk promises, tried on the real one and on the simulated one.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::io::{ErrorKind, IoSlice};
use std::path::Path;

use runtime::{Advice, DirEntry, Disk, File, Open, RealDisk, Rng, SimDisk};

/// Runs `test` in an empty directory of either disk.
#[track_caller]
fn on_each(test: impl Fn(&dyn Disk, &Path)) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    test(&*RealDisk::new(), directory.path());
    let sim = SimDisk::new(Rng::seeded(1)).mount();
    sim.create_dir_all(Path::new("/data"))
        .expect("the simulated disk has room");
    test(&*sim, Path::new("/data"));
}

fn contents(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn slices_are_written_one_after_another_at_the_position() {
    on_each(|disk, root| {
        let file = disk.open(&root.join("f"), Open::Create).unwrap();
        let slices = [
            IoSlice::new(b"one "),
            IoSlice::new(b""),
            IoSlice::new(b"two"),
        ];
        assert_eq!(file.pwritev(&slices, 3).unwrap(), 7);
        assert_eq!(contents(&*file), b"\0\0\0one two");
    });
}

#[test]
fn more_slices_than_the_kernel_takes_are_a_short_write() {
    on_each(|disk, root| {
        let file = disk.open(&root.join("f"), Open::Create).unwrap();
        let slices = vec![IoSlice::new(b"ab"); 3000];
        let taken = file.pwritev(&slices, 0).unwrap();
        assert!(
            taken > 0 && taken <= 6000 && file.len().unwrap() == taken as u64,
            "{taken}"
        );
    });
}

#[test]
fn reading_ends_at_the_end_of_the_file() {
    on_each(|disk, root| {
        let file = disk.open(&root.join("f"), Open::Create).unwrap();
        file.write_all_at(b"hello", 0).unwrap();
        let mut into = [9; 8];
        assert_eq!(file.pread(&mut into, 2).unwrap(), 3);
        assert_eq!(&into[..3], b"llo");
        assert_eq!(file.pread(&mut into, 5).unwrap(), 0);
        assert_eq!(file.pread(&mut into, 5000).unwrap(), 0);
        assert_eq!(
            file.read_exact_at(&mut into, 0).unwrap_err().kind(),
            ErrorKind::UnexpectedEof
        );
    });
}

#[test]
fn a_read_that_must_not_wait_gives_right_bytes_or_none() {
    on_each(|disk, root| {
        let file = disk.open(&root.join("f"), Open::Create).unwrap();
        file.write_all_at(b"in the cache", 0).unwrap();
        let mut into = [0; 5];
        if let Some(read) = file.pread_nowait(&mut into, 7).unwrap() {
            assert_eq!(&into[..read], &b"cache"[..read]);
        }
        assert!(matches!(
            file.pread_nowait(&mut into, 12).unwrap(),
            Some(0) | None
        ));
    });
}

#[test]
fn allocated_space_reads_as_zeros_and_never_shrinks_a_file() {
    on_each(|disk, root| {
        let file = disk.open(&root.join("f"), Open::Create).unwrap();
        file.write_all_at(b"x", 0).unwrap();
        file.allocate(5000).unwrap();
        assert_eq!(file.len().unwrap(), 5000);
        assert!(contents(&*file)[1..].iter().all(|byte| *byte == 0));
        file.allocate(100).unwrap();
        file.allocate(0).unwrap();
        assert_eq!(file.len().unwrap(), 5000);
    });
}

#[test]
fn a_cut_file_has_zeros_where_it_grows_again() {
    on_each(|disk, root| {
        let file = disk.open(&root.join("f"), Open::Create).unwrap();
        file.write_all_at(&[7; 2000], 0).unwrap();
        file.set_len(700).unwrap();
        file.set_len(1500).unwrap();
        let bytes = contents(&*file);
        assert!(
            bytes[..700].iter().all(|byte| *byte == 7)
                && bytes[700..].iter().all(|byte| *byte == 0)
        );
    });
}

#[test]
fn a_mapping_outlives_handle_and_name() {
    on_each(|disk, root| {
        let path = root.join("f");
        let file = disk.open(&path, Open::Create).unwrap();
        assert!(file.map().unwrap().is_empty());
        file.write_all_at(&[3; 10_000], 0).unwrap();
        file.fdatasync().unwrap();
        let mapped = disk.open(&path, Open::Read).unwrap().map().unwrap();
        drop(file);
        disk.unlink(&path).unwrap();
        assert_eq!(mapped.as_ref(), [3; 10_000]);
        assert!(!disk.exists(&path).unwrap());
    });
}

#[test]
fn a_file_opened_for_reading_cannot_be_written() {
    on_each(|disk, root| {
        let path = root.join("f");
        assert_eq!(
            disk.open(&path, Open::Read).err().unwrap().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(
            disk.open(&path, Open::Write).err().unwrap().kind(),
            ErrorKind::NotFound
        );
        disk.open(&path, Open::Create)
            .unwrap()
            .write_all_at(b"kept", 0)
            .unwrap();
        assert_eq!(contents(&*disk.open(&path, Open::Create).unwrap()), b"kept");
        let reader = disk.open(&path, Open::Read).unwrap();
        assert!(reader.write_all_at(b"no", 0).is_err() && reader.set_len(0).is_err());
        assert!(reader.advise(0..4, Advice::WillNeed).is_ok());
        assert_eq!(contents(&*reader), b"kept");
    });
}

#[test]
fn names_are_listed_in_order_with_what_they_are() {
    on_each(|disk, root| {
        disk.create_dir_all(&root.join("b/c/d")).unwrap();
        disk.create_dir_all(&root.join("b/c")).unwrap();
        disk.open(&root.join("a"), Open::Create)
            .unwrap()
            .set_len(12)
            .unwrap();
        let entry = |name: &str, len, is_dir| DirEntry {
            name: name.to_owned(),
            len,
            is_dir,
        };
        assert_eq!(
            disk.list(root).unwrap(),
            [entry("a", 12, false), entry("b", 0, true)]
        );
        assert_eq!(disk.list(&root.join("b/c/d")).unwrap(), []);
        assert_eq!(
            disk.list(&root.join("none")).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert!(disk.list(&root.join("a")).is_err());
        disk.remove_dir_all(&root.join("b")).unwrap();
        assert_eq!(disk.list(root).unwrap().len(), 1);
    });
}

#[test]
fn a_rename_keeps_the_file_and_replaces_the_other() {
    on_each(|disk, root| {
        let (from, to) = (root.join("from"), root.join("to"));
        let file = disk.open(&from, Open::Create).unwrap();
        file.write_all_at(b"new", 0).unwrap();
        let replaced = disk.open(&to, Open::Create).unwrap();
        replaced.write_all_at(b"old", 0).unwrap();
        disk.rename(&from, &to).unwrap();
        assert_eq!(disk.read(&to).unwrap(), b"new");
        assert_eq!(
            disk.open(&to, Open::Read).unwrap().id().unwrap(),
            file.id().unwrap()
        );
        assert_eq!(contents(&*replaced), b"old");
        assert!(!disk.exists(&from).unwrap());
        assert_eq!(
            disk.rename(&from, &to).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        disk.fsync_dir(root).unwrap();
    });
}

#[test]
fn a_directory_is_renamed_with_what_it_holds() {
    on_each(|disk, root| {
        disk.create_dir_all(&root.join("one/deep")).unwrap();
        disk.replace(&root.join("one/deep/f"), b"here").unwrap();
        disk.rename(&root.join("one"), &root.join("two")).unwrap();
        assert_eq!(disk.read(&root.join("two/deep/f")).unwrap(), b"here");
        assert!(
            disk.rename(&root.join("two"), &root.join("two/deep/inside"))
                .is_err()
        );
        disk.create_dir_all(&root.join("full/of")).unwrap();
        assert_eq!(
            disk.rename(&root.join("two"), &root.join("full"))
                .unwrap_err()
                .kind(),
            ErrorKind::DirectoryNotEmpty
        );
    });
}

#[test]
fn replacing_a_file_leaves_its_name_alone_in_the_directory() {
    on_each(|disk, root| {
        let path = root.join("settings");
        disk.replace(&path, b"a long first version").unwrap();
        disk.replace(&path, b"second").unwrap();
        assert_eq!(disk.read(&path).unwrap(), b"second");
        assert_eq!(disk.list(root).unwrap().len(), 1);
    });
}

#[test]
fn a_lock_has_one_holder_until_it_is_dropped() {
    on_each(|disk, root| {
        let path = root.join("lock");
        let held = disk.lock(&path).unwrap();
        assert_eq!(
            disk.lock(&path).err().unwrap().kind(),
            ErrorKind::WouldBlock
        );
        drop(held);
        let _again = disk.lock(&path).unwrap();
    });
}

#[test]
fn there_is_space_where_files_are() {
    on_each(|disk, root| {
        let space = disk.space(root).unwrap();
        assert!(
            space.available > 0 && space.available <= space.total,
            "{space:?}"
        );
        assert!(disk.space(&root.join("none")).is_err());
    });
}

#[test]
fn space_is_counted_as_df_counts_it() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let columns = ["-B1", "--output=used,avail"];
    let df = std::process::Command::new("df")
        .args(columns)
        .arg(directory.path())
        .output()
        .expect("df is there");
    let said = String::from_utf8(df.stdout).expect("df writes text");
    let numbers = said.split_whitespace();
    let total: u64 = numbers.filter_map(|word| word.parse::<u64>().ok()).sum();
    let space = RealDisk::new().space(directory.path()).unwrap();
    // Others write to the same disk meanwhile, which moves bytes from one side to the other.
    let slack = total / 1_000;
    assert!(
        space.total.abs_diff(total) <= slack,
        "df: {said}; we: {space:?}"
    );
}

#[test]
fn what_is_in_memory_is_told_without_fetching_it() {
    const BYTES: usize = 4 << 20;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let disk = RealDisk::new();
    let file = disk.open(&folder.path().join("f"), Open::Create).unwrap();
    file.write_all_at(&vec![7; BYTES], 0).unwrap();
    file.fdatasync().unwrap();
    let all = 0..BYTES as u64;
    let Some(written) = file.resident(all.clone()) else {
        eprintln!("this kernel does not tell what is in memory");
        return;
    };
    assert_eq!(written, BYTES as u64);
    assert_eq!(file.resident(8_192..8_192), Some(0));
    file.advise(all.clone(), Advice::DontNeed).unwrap();
    if file.resident(all.clone()) != Some(0) {
        eprintln!("this file system keeps its pages");
        return;
    }
    assert_eq!(file.resident(all.clone()), Some(0), "asking fetched it");
    file.read_exact_at(&mut [0; 4_096], 1 << 20).unwrap();
    assert!(file.resident(1 << 20..(1 << 20) + 4_096) == Some(4_096));
}

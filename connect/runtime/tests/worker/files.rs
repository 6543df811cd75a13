//! Files of a simulated disk.

use std::path::Path;

use runtime::{Disk, Rng, SimDisk};

pub fn sim_disk(seed: u64) -> SimDisk {
    SimDisk::new(Rng::seeded(seed).split("disk"))
}

pub fn write(disk: &dyn Disk, path: &str, text: &str) {
    let path = Path::new(path);
    disk.create_dir_all(path.parent().expect("an absolute path"))
        .expect("the directory is made");
    disk.replace(path, text.as_bytes())
        .expect("the file is written");
}

/// All lines of the finished files of a directory, sorted.
pub fn lines(disk: &dyn Disk, directory: &str) -> Vec<String> {
    let directory = Path::new(directory);
    let mut lines = Vec::new();
    for entry in disk.list(directory).unwrap_or_default() {
        if !entry.name.starts_with('.') {
            let bytes = disk
                .read(&directory.join(&entry.name))
                .expect("a finished file can be read");
            lines.extend(
                String::from_utf8(bytes)
                    .expect("text")
                    .lines()
                    .map(str::to_owned),
            );
        }
    }
    lines.sort();
    lines
}

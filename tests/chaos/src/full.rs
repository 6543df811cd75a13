//! A small file system of its own for the broker's data, which can be filled to the last byte.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use peers::run;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

/// Room for a round, and little enough to be full at once.
const BYTES: u64 = 512 << 20;
/// The file system gives room by so many bytes.
const BLOCK: u64 = 4096;
const MKFS: [&str; 2] = ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"];
/// What takes the room.
const BALLAST: &str = "ballast";

pub(crate) struct SmallDisk {
    at: PathBuf,
    image: PathBuf,
}

impl SmallDisk {
    /// Whether one can be made here.
    pub(crate) fn fit() -> Result<()> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "a file system is mounted by root"
        );
        ensure!(mkfs().is_some(), "there is no mkfs.ext4");
        ensure!(
            Path::new("/dev/loop-control").exists(),
            "there is no /dev/loop-control: files cannot be mounted"
        );
        Ok(())
    }

    /// Makes one in a file of `folder` and mounts it at `at`.
    pub(crate) fn mount(folder: &Path, at: &Path) -> Result<SmallDisk> {
        let image = folder.join("disk.img");
        std::fs::File::create(&image)?.set_len(BYTES)?;
        let mkfs = mkfs().context("there is no mkfs.ext4")?;
        // Nothing is kept back for root, who is the one that fills it.
        run(Command::new(mkfs).args(["-q", "-m", "0"]).arg(&image))?;
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(&image)
            .arg(at))?;
        Ok(SmallDisk {
            at: at.to_owned(),
            image,
        })
    }

    /// Takes all the room there is.
    pub(crate) fn fill(&self) -> Result<()> {
        let ballast = std::fs::File::create(self.at.join(BALLAST))?;
        let (mut taken, mut step) = (0, BYTES);
        while step >= BLOCK {
            match fallocate(&ballast, FallocateFlags::empty(), taken, step) {
                Ok(()) => taken += step,
                Err(Errno::NOSPC) => step /= 2,
                Err(why) => return Err(why).context("the disk cannot be filled"),
            }
        }
        Ok(())
    }

    /// Gives the room back.
    pub(crate) fn free(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.at.join(BALLAST))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if unmount(&self.at, UnmountFlags::empty()).is_err() {
            unmount(&self.at, UnmountFlags::DETACH).ok();
        }
        std::fs::remove_file(&self.image).ok();
    }
}

fn mkfs() -> Option<PathBuf> {
    let mut places = MKFS.iter().map(PathBuf::from);
    places.find(|place| place.is_file())
}

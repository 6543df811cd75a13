//! A file system that keeps in memory what was not flushed, and forgets it when told that the
//! power is gone.
//!
//! It is mounted over the folder of the broker's data. The broker dies first; then the file
//! system is taken away, so that the kernel forgets its pages too, loses what was not flushed,
//! and is mounted again: what a broker finds then is what a machine would have left it.

mod mounted;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use fuser::{BackgroundSession, Config, MountOption};
use parking_lot::Mutex;
use runtime::Rng;
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};

use mounted::Mounted;
use tree::Tree;

/// How long the last user of the file system may take to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Overlay {
    at: PathBuf,
    tree: Arc<Mutex<Tree>>,
    session: Option<BackgroundSession>,
}

impl Overlay {
    /// Whether one can be mounted here.
    pub(crate) fn fit() -> Result<()> {
        ensure!(
            Path::new("/dev/fuse").exists(),
            "there is no /dev/fuse: the kernel has no FUSE, or the container hides it"
        );
        ensure!(
            rustix::process::geteuid().is_root(),
            "a file system is mounted by root"
        );
        Ok(())
    }

    /// Mounts an empty one over the folder `at`.
    pub(crate) fn mount(at: &Path) -> Result<Overlay> {
        let mut overlay = Overlay {
            at: at.to_owned(),
            tree: Arc::new(Mutex::new(Tree::new())),
            session: None,
        };
        overlay.mount_again()?;
        Ok(overlay)
    }

    fn mount_again(&mut self) -> Result<()> {
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("chaos".to_owned()),
            MountOption::Subtype("powerloss".to_owned()),
        ];
        let session = fuser::spawn_mount(Mounted::over(self.tree.clone()), &self.at, &config);
        let session = session.with_context(|| format!("cannot mount {}", self.at.display()))?;
        self.session = Some(session);
        Ok(())
    }

    fn unmount(&mut self) -> Result<()> {
        let Some(session) = self.session.take() else {
            return Ok(());
        };
        let begun = Instant::now();
        // The kernel may still be closing what a dead process had open.
        while let Err(why) = unmount(&self.at, UnmountFlags::empty()) {
            if why != Errno::BUSY || begun.elapsed() > PATIENCE {
                // Left to itself it would keep its thread, and everybody who uses it, waiting.
                unmount(&self.at, UnmountFlags::DETACH | UnmountFlags::FORCE).ok();
                bail!("{} cannot be unmounted: {why}", self.at.display());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        session
            .umount_and_join()
            .or_else(|why| match why.kind() {
                // It is unmounted already.
                std::io::ErrorKind::InvalidInput => Ok(()),
                _ => Err(why),
            })
            .context("the file system did not end well")
    }

    /// Nobody uses it any more, and the power is gone: what was not flushed is lost, or, in one
    /// loss of two, a random part of it.
    pub(crate) fn lose_power(&mut self, rng: &Rng) -> Result<()> {
        self.unmount()?;
        let torn = rng.chance(0.5).then(|| Rng::seeded(rng.next_u64()));
        self.tree.lock().lose_power(torn.as_ref());
        self.mount_again()
    }

    /// Copies what it holds to a real folder.
    pub(crate) fn write_out(&self, to: &Path) -> Result<()> {
        Ok(self.tree.lock().write_out(to)?)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        self.unmount().ok();
    }
}

#[cfg(test)]
mod tests {
    use metadata::{Metadata, TopicConfig};
    use model::Topic;

    use super::*;

    /// Nothing where no file system can be mounted, with a word on why.
    fn mounted() -> Option<(tempfile::TempDir, Overlay)> {
        if let Err(why) = Overlay::fit() {
            println!("skipped: {why:#}");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder can be made");
        let overlay = Overlay::mount(folder.path()).expect("it can be mounted");
        Some((folder, overlay))
    }

    #[test]
    fn a_mounted_file_system_forgets_what_was_not_flushed() {
        let Some((folder, mut overlay)) = mounted() else {
            return;
        };
        let (kept, lost) = (folder.path().join("kept"), folder.path().join("lost"));
        std::fs::write(&kept, "bytes").expect("there is room");
        std::fs::write(&lost, "bytes").expect("there is room");
        std::fs::File::open(&kept)
            .and_then(|file| file.sync_all())
            .expect("it can be flushed");
        assert!(lost.exists());
        std::fs::File::open(folder.path())
            .and_then(|folder| folder.sync_all())
            .expect("it can be flushed");
        overlay.unmount().expect("nobody uses it");
        overlay.tree.lock().lose_power(None);
        overlay.mount_again().expect("it can be mounted again");
        assert_eq!(std::fs::read(&kept).expect("it is there"), b"bytes");
        assert_eq!(std::fs::read(&lost).expect("its name is there"), b"");
    }

    #[test]
    fn a_topic_that_an_administrator_made_survives_a_loss_of_power() {
        let Some((folder, mut overlay)) = mounted() else {
            return;
        };
        let topic = Topic::parse("orders").expect("a topic's name");
        let place = folder.path().join("metadata");
        let metadata = Metadata::open(&place).expect("it opens");
        let config = TopicConfig::with_queues(8);
        let put = metadata.topics.put(topic.clone(), config);
        put.expect("it is valid");
        // As if it had not ended: what it might still flush at its end counts for nothing.
        let copy = overlay.tree.lock().clone();
        drop(metadata);
        overlay.unmount().expect("nobody uses it");
        *overlay.tree.lock() = copy;
        overlay.tree.lock().lose_power(None);
        overlay.mount_again().expect("it can be mounted again");
        let metadata = Metadata::open(&place).expect("it opens again");
        assert!(metadata.topics.get(topic.as_str()).is_some());
        drop(metadata);
    }
}

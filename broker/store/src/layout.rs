//! Where things lie under the store's root.

use std::path::{Path, PathBuf};

/// The directories and files of one store. RocketMQ's own keep their names; ours lie apart.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub root: PathBuf,
    /// The log, in RocketMQ's place.
    pub log: PathBuf,
    /// Present while the store is open, as in RocketMQ: its presence at a start tells of a
    /// crash.
    pub abort: PathBuf,
    pub lock: PathBuf,
    pub index_log: PathBuf,
    pub checkpoints: PathBuf,
    pub fence: PathBuf,
    /// Keys of what is no longer in memory.
    pub keys: PathBuf,
    /// Files of deleted segments that wait to be used again.
    pub recycled: PathBuf,
    /// Space that is kept back.
    pub reserve: PathBuf,
    /// What a repair that is not complete is going to tell.
    pub unfinished: PathBuf,
    /// What a repair has taken out.
    pub lost_found: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        // Everything that RocketMQ does not know.
        let own = root.join("millstream");
        Self {
            root: root.to_owned(),
            log: root.join("commitlog"),
            abort: root.join("abort"),
            lock: root.join("lock"),
            index_log: own.join("queues"),
            checkpoints: own.join("heads"),
            fence: own.join("fence"),
            keys: own.join("keys"),
            recycled: own.join("recycled"),
            reserve: own.join("reserve"),
            unfinished: own.join("repair"),
            lost_found: root.join("lost+found"),
        }
    }
}

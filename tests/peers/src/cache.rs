//! Where downloaded peers are kept, and how a finished download is told from a broken one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The folder `name` in the cache: `$MILLSTREAM_CACHE`, else `$XDG_CACHE_HOME/millstream`,
/// else `~/.cache/millstream`. It exists when this returns.
pub fn cache(name: &str) -> Result<PathBuf> {
    let root = std::env::var_os("MILLSTREAM_CACHE")
        .map(PathBuf::from)
        .or_else(|| {
            std::env::var_os("XDG_CACHE_HOME").map(|home| PathBuf::from(home).join("millstream"))
        })
        .or_else(|| {
            std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/millstream"))
        })
        .context("no cache directory: set MILLSTREAM_CACHE or HOME")?;
    let folder = root.join(name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Fills `folder` by `make` once: a stamp file beside it tells later runs that it is whole.
///
/// Two test processes may ask at the same time, so the work is done under a file lock.
pub fn stamp(folder: &Path, version: &str, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let lock = std::fs::File::create(beside(folder, "lock"))?;
    lock.lock().context("cannot lock the cache")?;
    let stamp = beside(folder, "stamp");
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == version) {
        return Ok(());
    }
    std::fs::remove_dir_all(folder).ok();
    std::fs::create_dir_all(folder)?;
    make()?;
    std::fs::write(&stamp, version)?;
    Ok(())
}

/// `folder.suffix`: a version such as `5.5.0` in the name is not an extension.
pub fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// One line for the person who waits, on standard error.
pub fn say(what: &str) {
    eprintln!("peers: {what}");
}

//! Servers that come as Debian packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::cache::say;
use crate::tools::run;

/// Installs `package` when `binary` is missing. Needs root; without it the error says what to type.
pub fn require_debian(package: &str, binary: &Path) -> Result<()> {
    if binary.exists() {
        return Ok(());
    }
    let root = run(Command::new("id").arg("-u"))?.trim() == "0";
    if !root {
        bail!(
            "{} is missing: install it with  sudo apt-get install {package}",
            binary.display()
        );
    }
    say(&format!("installing the Debian package {package}"));
    run(Command::new("apt-get").args(["update", "-q"])).ok();
    run(Command::new("apt-get")
        .args(["install", "-y", "-q", "--no-install-recommends", package])
        .env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(())
}

/// The folder of PostgreSQL's server programs (`initdb`, `postgres`), newest version first;
/// installs Debian's package when there is none.
pub fn find_postgres() -> Result<PathBuf> {
    if let Some(found) = newest_postgres() {
        return Ok(found);
    }
    require_debian("postgresql", Path::new("/usr/lib/postgresql/missing"))?;
    newest_postgres().ok_or_else(|| {
        anyhow::anyhow!(
            "the package postgresql is installed, but /usr/lib/postgresql has no initdb"
        )
    })
}

fn newest_postgres() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop()
}

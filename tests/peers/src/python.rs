//! Python environments with packages of PyPI.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{cache, say, stamp};
use crate::tools::run;

/// The interpreter of an environment that has `packages`, each as `name==version`.
pub fn python(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = cache("python")?.join(name);
    stamp(&folder, &packages.join(" "), || {
        say(&format!("installing {} from PyPI", packages.join(", ")));
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            .context("Python could not make an environment (is `python3-venv` installed?)")?;
        run(Command::new(folder.join("bin/pip"))
            .args(["install", "-q", "--disable-pip-version-check"])
            .args(packages))?;
        Ok(())
    })?;
    Ok(folder.join("bin/python"))
}

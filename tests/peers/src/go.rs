//! Small Go programs, built against modules of the Go proxy.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{cache, say, stamp};
use crate::tools::run;

/// Builds the module in `folder` once per content; returns the program.
pub fn go_build(name: &str, folder: &Path) -> Result<PathBuf> {
    let target = cache("go")?.join(name);
    let mut version = String::new();
    for file in ["go.mod", "go.sum", "main.go"] {
        let path = folder.join(file);
        version.push_str(
            &std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?,
        );
    }
    let program = target.join(name);
    stamp(&target, &version, || {
        say(&format!("building the Go program {name}"));
        run(Command::new("go")
            .args(["build", "-mod=readonly", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(folder))
        .context("Go could not build the program (is `go` installed?)")?;
        Ok(())
    })?;
    Ok(program)
}

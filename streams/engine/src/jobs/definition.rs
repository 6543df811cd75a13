//! A job as it is kept between processes.

use std::path::{Path, PathBuf};

use runtime::Disk;
use serde::{Deserialize, Serialize};

use super::JobError;

/// What was asked for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Definition {
    pub name: String,
    pub script: String,
    /// Relative paths of the script's files are below this folder.
    pub base: PathBuf,
    pub target: Target,
}

/// Whether a job is to run.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    Running,
    Stopped,
    /// All it had to say has been said; it never runs again.
    Drained,
}

const FILE: &str = "job.json";
const LONGEST_NAME: usize = 100;
/// A connector commits its epochs as the job of this name and its own.
const CONNECTORS: &str = "connect-";

/// A job's name is a folder's name and part of a consumer group's.
pub fn check_name(name: &str) -> Result<(), JobError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let why = match name {
        "" => "it is empty".to_owned(),
        _ if name.len() > LONGEST_NAME => format!(
            "it has {} characters, at most {LONGEST_NAME} are allowed",
            name.len()
        ),
        _ => match name.chars().find(|c| !allowed(*c)) {
            Some(c) => format!("it contains {c:?}; allowed are a-z A-Z 0-9 - _"),
            None if name.starts_with(CONNECTORS) => {
                format!("names that begin with {CONNECTORS} belong to connectors")
            }
            None => return Ok(()),
        },
    };
    Err(JobError::Name {
        name: name.to_owned(),
        why,
    })
}

impl Definition {
    /// Durable when it returns.
    pub fn save(&self, disk: &dyn Disk, folder: &Path) -> std::io::Result<()> {
        let own = folder.join(&self.name);
        disk.create_dir_all(&own)?;
        let text = serde_json::to_vec_pretty(self).expect("a job's definition is plain JSON");
        disk.replace(&own.join(FILE), &text)
    }
}

/// Every job kept below the folder. One that cannot be read is left alone and named in the log.
pub fn load_all(disk: &dyn Disk, folder: &Path) -> std::io::Result<Vec<Definition>> {
    let mut definitions = Vec::new();
    for entry in disk.list(folder)?.into_iter().filter(|entry| entry.is_dir) {
        let file = folder.join(&entry.name).join(FILE);
        if !disk.exists(&file)? {
            continue;
        }
        match serde_json::from_slice(&disk.read(&file)?) {
            Ok(definition) => definitions.push(definition),
            Err(why) => {
                tracing::error!(file = %file.display(), %why, "a kept job cannot be read and is left alone")
            }
        }
    }
    Ok(definitions)
}

/// Removes a job with all it has kept.
pub fn remove(disk: &dyn Disk, folder: &Path, name: &str) -> std::io::Result<()> {
    disk.remove_dir_all(&folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, refused: Option<&str>) {
        let why = check_name(name).err().map(|why| why.to_string());
        match (why, refused) {
            (Some(why), Some(refused)) => assert!(why.contains(refused), "{why}"),
            (why, refused) => assert_eq!(why.as_deref(), refused, "{name}"),
        }
    }

    #[test]
    fn a_job_has_a_name_that_is_nobody_elses() {
        check("airport-delays", None);
        check("connect", None);
        check("connect-flights", Some("belong to connectors"));
        check("a/b", Some("contains '/'"));
        check("", Some("empty"));
        check(&"x".repeat(101), Some("101 characters"));
    }
}

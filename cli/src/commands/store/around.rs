//! What lies around a log: the broker's metadata, and the `config` folder of a RocketMQ.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use metadata::Metadata;
use serde_json::Value;
use store::Finding;

use super::Place;

/// What of it cannot be read.
pub fn findings(place: &Place) -> Result<Vec<Finding>> {
    let mut findings = of_rocketmq(&place.store)?;
    if let Some(folder) = &place.metadata {
        findings.extend(of_metadata(folder)?);
    }
    Ok(findings)
}

/// Opening it would write to it, so that is done with a copy.
fn of_metadata(folder: &Path) -> Result<Option<Finding>> {
    let copy = Copy::of(folder).context("copying the metadata")?;
    let opened = Metadata::check(&copy.folder);
    let repair = match metadata::has_copy(folder) {
        true => "start the broker: it takes the last copy of them, and sets the folder aside",
        false => "none: bring the folder back from a backup",
    };
    Ok(opened.err().map(|why| Finding {
        file: folder.display().to_string(),
        position: None,
        what: format!("topics, groups and offsets cannot be read: {why}"),
        repair: repair.into(),
        harmless: false,
    }))
}

/// A copy of a folder, gone when this is dropped.
pub struct Copy {
    pub folder: PathBuf,
}

impl Copy {
    pub fn of(folder: &Path) -> std::io::Result<Copy> {
        let name = format!("millstream-check-{}", std::process::id());
        let copy = Copy {
            folder: std::env::temp_dir().join(name),
        };
        copy_folder(folder, &copy.folder)?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

/// The files that are taken over at the first start; each has a copy of its last state but one.
fn of_rocketmq(store: &Path) -> Result<Vec<Finding>> {
    let folder = store.join("config");
    let mut findings = Vec::new();
    for name in [
        "topics",
        "subscriptionGroup",
        "consumerOffset",
        "delayOffset",
    ] {
        let name = format!("{name}.json");
        let path = folder.join(&name);
        if !path.exists() {
            continue;
        }
        let Err(why) = readable(&path) else { continue };
        let copied = readable(&folder.join(format!("{name}.bak"))).is_ok();
        let repair = match copied {
            true => "none is needed: its copy is taken",
            false => "none: restore it from a copy, or its content is not taken over",
        };
        findings.push(Finding {
            file: format!("config/{name}"),
            position: None,
            what: format!("it cannot be read: {why}"),
            repair: repair.into(),
            harmless: copied,
        });
    }
    Ok(findings)
}

fn readable(path: &Path) -> Result<Value, String> {
    let text = std::fs::read(path).map_err(|why| why.to_string())?;
    protocol::body::decode(&text).map_err(|why| why.to_string())
}

//! Programs of the official Java client; what they see comes back as lines of JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use peers::{Jars, javac};
use serde_json::Value;

use crate::ADDRESS;

/// Topic, queue, offset.
pub type Place = (String, u64, u64);
pub type Messages = BTreeMap<Place, Value>;

/// Runs a driver against whoever serves at [`ADDRESS`].
pub fn run<'a>(driver: &str, arguments: impl IntoIterator<Item = &'a str>) -> Result<Vec<Value>> {
    let jars = Jars::rocketmq("5.5.0")?;
    let drivers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../drivers/java");
    let source: PathBuf = drivers.join(format!("{driver}.java"));
    let classes = javac(&format!("hand-back-{driver}"), &[source], &jars)?;
    let output = Command::new("java")
        .args(["-Xmx256m", "-Drocketmq.client.logLevel=OFF"])
        .arg(format!("-Duser.home={}", classes.display()))
        .arg("-cp")
        .arg(format!("{}:{}", classes.display(), jars.class_path()))
        .args([driver, &format!("{ADDRESS}:9876")])
        .args(arguments)
        .output()
        .context("cannot start java")?;
    let printed = String::from_utf8(output.stdout)?;
    let lines = printed.lines().filter(|line| line.starts_with('{'));
    let mut lines: Vec<Value> = lines.map(serde_json::from_str).collect::<Result<_, _>>()?;
    let done = lines.pop_if(|line| line["done"] == true).is_some();
    ensure!(
        done,
        "{driver} said {printed} and {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(lines)
}

/// Every message of some topics, from the beginning of every queue to its end.
pub fn consumed<'a>(topics: impl IntoIterator<Item = &'a str>) -> Result<Messages> {
    let mut messages = Messages::new();
    for mut line in run("Adopted", topics)? {
        // The client adds where the queue begins and ends at that moment.
        if let Some(properties) = line["properties"].as_object_mut() {
            properties.retain(|name, _| name != "MIN_OFFSET" && name != "MAX_OFFSET");
        }
        let number = |member: &str| line[member].as_u64().unwrap_or(u64::MAX);
        let topic = line["topic"].as_str().unwrap_or_default().to_owned();
        let place = (topic, number("queueId"), number("queueOffset"));
        let again = messages.insert(place, line);
        ensure!(again.is_none(), "one place was read twice: {again:?}");
    }
    Ok(messages)
}

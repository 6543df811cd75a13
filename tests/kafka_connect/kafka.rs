//! A real Kafka of a test: one broker and a standalone worker, from the jars of Maven Central.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use peers::Jars;

use crate::addresses::free_addresses;

const VERSION: &str = "3.9.1";

/// How long a start may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Any will do; the data are new each time.
const CLUSTER: &str = "5xhyAbHvS2OkSfPJhqS5fQ";

/// Gone when this is dropped.
pub struct Kafka {
    children: Vec<Child>,
    /// Where the worker answers.
    pub connect: String,
}

impl Kafka {
    /// Starts both with everything they keep below `data`, and waits until the worker answers.
    pub fn start(data: &Path) -> Result<Kafka> {
        let jars = jars()?;
        std::fs::create_dir_all(data)?;
        let [broker, controller, connect] = free_addresses();
        let broker_settings = write(
            data,
            "broker.properties",
            &[
                "process.roles=broker,controller".to_owned(),
                "node.id=1".to_owned(),
                format!("controller.quorum.voters=1@{controller}"),
                format!("listeners=PLAINTEXT://{broker},CONTROLLER://{controller}"),
                "controller.listener.names=CONTROLLER".to_owned(),
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
                    .to_owned(),
                format!("log.dirs={}", data.join("log").display()),
                "offsets.topic.replication.factor=1".to_owned(),
            ],
        )?;
        let worker_settings = write(
            data,
            "worker.properties",
            &[
                format!("bootstrap.servers={broker}"),
                format!("listeners=http://{connect}"),
                "key.converter=org.apache.kafka.connect.storage.StringConverter".to_owned(),
                "value.converter=org.apache.kafka.connect.storage.StringConverter".to_owned(),
                format!(
                    "offset.storage.file.filename={}",
                    data.join("offsets").display()
                ),
                "offset.flush.interval.ms=500".to_owned(),
                // Otherwise every class of every jar is looked at.
                "plugin.discovery=service_load".to_owned(),
            ],
        )?;
        let mut format = java(&jars, "kafka.tools.StorageTool");
        format
            .args(["format", "-t", CLUSTER, "-c"])
            .arg(&broker_settings);
        peers::run(&mut format)?;

        let mut kafka = Kafka {
            children: Vec::new(),
            connect,
        };
        let said = data.join("broker.out");
        kafka.spawn(java(&jars, "kafka.Kafka").arg(&broker_settings), &said)?;
        let said = data.join("worker.out");
        let class = "org.apache.kafka.connect.cli.ConnectStandalone";
        kafka.spawn(java(&jars, class).arg(&worker_settings), &said)?;
        kafka.wait(&said)?;
        Ok(kafka)
    }

    fn spawn(&mut self, command: &mut Command, said: &Path) -> Result<()> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(said)?)
            .spawn()
            .context("cannot start java")?;
        self.children.push(child);
        Ok(())
    }

    fn wait(&self, said: &Path) -> Result<()> {
        let begun = Instant::now();
        while ureq::get(format!("http://{}/connectors", self.connect))
            .call()
            .is_err()
        {
            if begun.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(said)?;
                bail!("Kafka Connect does not answer; it says\n{said}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn jars() -> Result<Jars> {
    let mut coordinates: Vec<_> = [
        "kafka_2.13",
        "connect-runtime",
        "connect-file",
        "connect-json",
    ]
    .iter()
    .map(|name| format!("org.apache.kafka:{name}:{VERSION}"))
    .collect();
    coordinates.push("org.slf4j:slf4j-simple:1.7.36".to_owned());
    Jars::fetch(&format!("kafka-{VERSION}"), &coordinates)
}

fn java(jars: &Jars, class: &str) -> Command {
    let mut command = Command::new("java");
    command
        .args(["-Xmx256m", "-XX:TieredStopAtLevel=1"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .args(["-cp", &jars.class_path()])
        .arg(class);
    command
}

fn write(folder: &Path, name: &str, lines: &[String]) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, lines.join("\n"))?;
    Ok(path)
}

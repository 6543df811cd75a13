//! The two brokers that are compared: each with a name server, on a loopback address of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use peers::{Jars, Process, RocketMq, run, say, up};

/// A program to measure instead of the one that is built here.
const BINARY: &str = "MILLSTREAM_BINARY";

/// A running broker with its name server.
pub struct Contender {
    pub name: &'static str,
    pub name_server: String,
    broker: Broker,
    /// RocketMQ refuses sends that waited 200 ms for their turn, as on a busy machine they do.
    pub may_refuse: bool,
}

enum Broker {
    Ours(Process),
    Theirs(RocketMq),
}

/// The whole house as an optimised program.
pub fn build_millstream() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os(BINARY) {
        return Ok(given.into());
    }
    say("building millstream with optimisation (a quarter of an hour the first time)");
    let arguments = ["build", "--release", "--package", "millstream"];
    ensure!(
        Command::new("cargo").args(arguments).status()?.success(),
        "millstream does not build"
    );
    Ok(target().join("release/millstream"))
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR");
    chosen.map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

impl Contender {
    /// Millstream as it comes, everything in one process.
    pub fn millstream(binary: &Path, folder: &Path) -> Result<Contender> {
        Ok(Contender {
            name: "Millstream",
            name_server: "127.0.0.81:9876".into(),
            broker: Broker::Ours(up(binary, &folder.join("data"), "127.0.0.81", &[])?),
            may_refuse: false,
        })
    }

    /// RocketMQ as it comes, with a heap that leaves room for others.
    pub fn rocketmq(jars: &Jars, folder: &Path) -> Result<Contender> {
        Ok(Contender {
            name: "RocketMQ",
            name_server: "127.0.0.82:9876".into(),
            broker: Broker::Theirs(RocketMq::start(jars, folder, "127.0.0.82", &[])?),
            may_refuse: true,
        })
    }

    /// The broker's process, which alone is measured.
    pub fn broker(&self) -> &Process {
        match &self.broker {
            Broker::Ours(process) => process,
            Broker::Theirs(pair) => &pair.broker,
        }
    }

    /// Makes a topic by RocketMQ's own tool.
    pub fn create_topic(&self, jars: &Jars, topic: &str, queues: u32) -> Result<()> {
        let queues = queues.to_string();
        let said = run(Command::new("java")
            .args([
                "-cp",
                &jars.class_path(),
                "org.apache.rocketmq.tools.command.MQAdminStartup",
            ])
            .args([
                "updateTopic",
                "-n",
                &self.name_server,
                "-c",
                "DefaultCluster",
                "-t",
                topic,
            ])
            .args(["-r", &queues, "-w", &queues]))?;
        ensure!(
            said.contains("success"),
            "{} has no topic {topic}: {said}",
            self.name
        );
        Ok(())
    }
}

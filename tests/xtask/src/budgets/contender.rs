//! The two brokers that are compared: each with a name server, on a loopback address of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use peers::{Jars, run, say};

use super::process::Process;
use super::up::up;

/// A program to measure instead of the one that is built here.
const BINARY: &str = "MILLSTREAM_BINARY";

/// A running broker with its name server.
pub struct Contender {
    pub name: &'static str,
    pub name_server: String,
    pub broker: Process,
    /// RocketMQ refuses sends that waited 200 ms for their turn, as on a busy machine they do.
    pub may_refuse: bool,
    _name_server: Option<Process>,
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
fn target() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR");
    chosen.map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

impl Contender {
    /// Millstream as it comes, everything in one process.
    pub fn millstream(binary: &Path, folder: &Path) -> Result<Contender> {
        Ok(Contender {
            name: "Millstream",
            name_server: "127.0.0.81:9876".into(),
            broker: up(binary, &folder.join("data"), "127.0.0.81")?,
            may_refuse: false,
            _name_server: None,
        })
    }

    /// RocketMQ as it comes, with a heap that leaves room for others.
    pub fn rocketmq(jars: &Jars, folder: &Path) -> Result<Contender> {
        let write = |name: &str, settings: String| -> Result<PathBuf> {
            let path = folder.join(name);
            std::fs::write(&path, settings)
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(path)
        };
        let names = write(
            "namesrv.conf",
            "bindAddress=127.0.0.82\nlistenPort=9876\n".into(),
        )?;
        let settings = write(
            "broker.conf",
            format!(
                "brokerClusterName=DefaultCluster\nbrokerName=broker-a\nbrokerId=0\n\
                 brokerIP1=127.0.0.82\nbindAddress=127.0.0.82\nlistenPort=10911\n\
                 storePathRootDir={0}/store\nstorePathCommitLog={0}/store/commitlog\n\
                 flushDiskType=ASYNC_FLUSH\nbrokerRole=ASYNC_MASTER\nautoCreateTopicEnable=false\n",
                folder.display()
            ),
        )?;
        let java = |options: &[&str]| {
            let mut command = Command::new("java");
            command
                .env("ROCKETMQ_HOME", folder)
                .arg(format!("-Duser.home={}", folder.display()))
                .args(options)
                .args(["-cp", &jars.class_path()]);
            command
        };
        let mut command = java(&["-Xms256m", "-Xmx512m"]);
        command
            .args(["org.apache.rocketmq.namesrv.NamesrvStartup", "-c"])
            .arg(names);
        let name_server = Process::start("RocketMQ's name server", &mut command)?;
        name_server.says("boot success")?;
        let mut command = java(&[
            "-Xms2g",
            "-Xmx2g",
            "-Xmn1g",
            "-XX:+UseG1GC",
            "-XX:MaxDirectMemorySize=2g",
            "-XX:+AlwaysPreTouch",
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
        ]);
        command
            .args([
                "org.apache.rocketmq.broker.BrokerStartup",
                "-n",
                "127.0.0.82:9876",
                "-c",
            ])
            .arg(settings);
        let broker = Process::start("RocketMQ's broker", &mut command)?;
        broker.says("boot success")?;
        Ok(Contender {
            name: "RocketMQ",
            name_server: "127.0.0.82:9876".into(),
            broker,
            may_refuse: true,
            _name_server: Some(name_server),
        })
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

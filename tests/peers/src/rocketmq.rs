//! RocketMQ's own servers: a name server and a broker on one loopback address.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::maven::Jars;
use crate::process::Process;

/// A heap that leaves room for others, touched at the start as RocketMQ's script does.
const BROKER: [&str; 8] = [
    "-Xms2g",
    "-Xmx2g",
    "-Xmn1g",
    "-XX:+UseG1GC",
    "-XX:MaxDirectMemorySize=2g",
    "-XX:+AlwaysPreTouch",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
];
const NAME_SERVER: [&str; 2] = ["-Xms256m", "-Xmx512m"];

/// A running pair; both are killed when this is dropped.
pub struct RocketMq {
    pub broker: Process,
    _name_server: Process,
}

impl RocketMq {
    /// Starts both with everything they keep below `folder`. `settings` are lines of
    /// `broker.conf` that come last, and so win.
    pub fn start(jars: &Jars, folder: &Path, address: &str, settings: &[&str]) -> Result<RocketMq> {
        let name_server = RocketMq::name_server(jars, folder, address)?;
        Ok(RocketMq {
            broker: RocketMq::broker(jars, folder, address, settings)?,
            _name_server: name_server,
        })
    }

    /// The name server alone; returns once it serves.
    pub fn name_server(jars: &Jars, folder: &Path, address: &str) -> Result<Process> {
        let listen = format!("bindAddress={address}\nlistenPort=9876\n");
        let names = write(folder, "namesrv.conf", &listen)?;
        let mut command = java(jars, folder, &NAME_SERVER);
        command
            .args(["org.apache.rocketmq.namesrv.NamesrvStartup", "-c"])
            .arg(names);
        let name_server = Process::start("RocketMQ's name server", &mut command)?;
        name_server.says("boot success")?;
        Ok(name_server)
    }

    /// The broker alone, over what an earlier one may have left; returns once it serves.
    pub fn broker(jars: &Jars, folder: &Path, address: &str, settings: &[&str]) -> Result<Process> {
        let mut command = RocketMq::broker_command(jars, folder, address, settings)?;
        let broker = Process::start("RocketMQ's broker", &mut command)?;
        broker.says("boot success")?;
        Ok(broker)
    }

    /// What starts the broker alone, for whoever starts and kills it in a way of their own.
    pub fn broker_command(
        jars: &Jars,
        folder: &Path,
        address: &str,
        settings: &[&str],
    ) -> Result<Command> {
        let text = format!(
            "brokerClusterName=DefaultCluster\nbrokerName=broker-a\nbrokerId=0\n\
             brokerIP1={address}\nbindAddress={address}\nlistenPort=10911\n\
             storePathRootDir={0}/store\nstorePathCommitLog={0}/store/commitlog\n\
             flushDiskType=ASYNC_FLUSH\nbrokerRole=ASYNC_MASTER\nautoCreateTopicEnable=false\n{1}\n",
            folder.display(),
            settings.join("\n"),
        );
        let mut command = java(jars, folder, &BROKER);
        command
            .args(["org.apache.rocketmq.broker.BrokerStartup", "-n"])
            .arg(format!("{address}:9876"))
            .arg("-c")
            .arg(write(folder, "broker.conf", &text)?);
        Ok(command)
    }
}

fn java(jars: &Jars, folder: &Path, options: &[&str]) -> Command {
    let mut command = Command::new("java");
    command
        .env("ROCKETMQ_HOME", folder)
        .arg(format!("-Duser.home={}", folder.display()))
        .args(options)
        .args(["-cp", &jars.class_path()]);
    command
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

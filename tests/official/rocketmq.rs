//! A real RocketMQ of a test: name server and broker from the jars of Maven Central.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result};
use peers::Jars;

use crate::addresses::free_addresses;

/// How long a start may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct RocketMq {
    children: Vec<Child>,
    pub name_server: String,
    pub broker: String,
}

impl RocketMq {
    /// Starts both servers with everything they keep below `data`, and waits until they serve.
    pub fn start(jars: &Jars, data: &Path) -> Result<RocketMq> {
        std::fs::create_dir_all(data)?;
        let [name_server, broker, replication] = free_addresses();
        let mut rocketmq = RocketMq {
            children: Vec::new(),
            name_server,
            broker,
        };
        let names = data.join("namesrv.conf");
        std::fs::write(
            &names,
            format!("listenPort={}\n", port(&rocketmq.name_server)?),
        )?;
        let mut command = java(jars, data, "64m");
        command
            .arg("org.apache.rocketmq.namesrv.NamesrvStartup")
            .arg("-c")
            .arg(&names);
        let names_ready = rocketmq.spawn(command)?;
        let conf = data.join("broker.conf");
        std::fs::write(&conf, rocketmq.settings(data, &replication)?)?;
        let mut command = java(jars, data, "512m");
        command
            .args([
                "-XX:MaxDirectMemorySize=512m",
                "--add-opens=java.base/java.nio=ALL-UNNAMED",
            ])
            .args(["--add-opens=java.base/sun.nio.ch=ALL-UNNAMED"])
            .arg("org.apache.rocketmq.broker.BrokerStartup")
            .arg("-c")
            .arg(&conf)
            .args(["-n", &rocketmq.name_server]);
        let broker_ready = rocketmq.spawn(command)?;
        for ready in [names_ready, broker_ready] {
            ready
                .recv_timeout(PATIENCE)
                .context("RocketMQ did not say that it is ready")?;
        }
        Ok(rocketmq)
    }

    fn settings(&self, data: &Path, replication: &str) -> Result<String> {
        let lines = [
            "brokerClusterName=DefaultCluster".to_owned(),
            "brokerName=broker-a".to_owned(),
            "brokerId=0".to_owned(),
            "brokerIP1=127.0.0.1".to_owned(),
            format!("listenPort={}", port(&self.broker)?),
            format!("haListenPort={}", port(replication)?),
            format!("storePathRootDir={}", data.join("store").display()),
            format!(
                "storePathCommitLog={}",
                data.join("store/commitlog").display()
            ),
            "autoCreateTopicEnable=true".to_owned(),
            // The files are small so that a start does not have to make large ones.
            "mappedFileSizeCommitLog=4194304".to_owned(),
            "diskMaxUsedSpaceRatio=99".to_owned(),
        ];
        Ok(lines.join("\n"))
    }

    fn spawn(&mut self, mut command: Command) -> Result<Receiver<()>> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start java")?;
        let output = child.stdout.take().context("its output is piped")?;
        let (serves, ready) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if line.contains("boot success") {
                    serves.send(()).ok();
                }
            }
        });
        self.children.push(child);
        Ok(ready)
    }
}

impl Drop for RocketMq {
    fn drop(&mut self) {
        for child in &mut self.children {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn java(jars: &Jars, data: &Path, heap: &str) -> Command {
    let mut command = Command::new("java");
    command
        .args([
            format!("-Xmx{heap}"),
            format!("-Duser.home={}", data.display()),
        ])
        .args(["-cp", &jars.class_path()])
        .env("ROCKETMQ_HOME", data);
    command
}

fn port(address: &str) -> Result<&str> {
    let (_, port) = address.rsplit_once(':').context("an address has a port")?;
    Ok(port)
}

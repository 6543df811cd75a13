//! mxsm's rocketmq-rust: its servers, built from the Rust registry and started like RocketMQ's.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{cache, say, stamp};
use crate::process::Process;
use crate::tools::run;

/// The version of both crates.
pub const ROCKETMQ_RUST: &str = "1.0.0";
const CRATES: [&str; 2] = ["rocketmq-namesrv", "rocketmq-broker"];
const NAME_SERVER: &str = "rocketmq-namesrv-rust";
const BROKER: &str = "rocketmq-broker-rust";

/// The folder of its programs.
pub struct RocketMqRust {
    programs: PathBuf,
}

impl RocketMqRust {
    /// What a line of the broker contains that says: the doors are open.
    pub const READY: &str = ") started successfully";

    /// Its programs, built once and kept.
    pub fn build() -> Result<RocketMqRust> {
        let root = cache("rocketmq-rust")?.join(ROCKETMQ_RUST);
        stamp(&root, ROCKETMQ_RUST, || {
            say(
                "building rocketmq-rust from the Rust registry (once; an hour where two cores are shared)",
            );
            for name in CRATES {
                run(Command::new("nice")
                    .args([
                        "-n",
                        "19",
                        "cargo",
                        "install",
                        "--locked",
                        name,
                        "--version",
                        ROCKETMQ_RUST,
                    ])
                    .arg("--root")
                    .arg(&root)
                    .env("CARGO_TARGET_DIR", cache("tools-build")?))
                .with_context(|| format!("{name} {ROCKETMQ_RUST} does not build"))?;
            }
            Ok(())
        })?;
        Ok(RocketMqRust {
            programs: root.join("bin"),
        })
    }

    /// The name server; returns once it serves.
    pub fn name_server(&self, folder: &Path, address: &str) -> Result<Process> {
        let mut command = self.command(NAME_SERVER, folder);
        command.args(["--bindAddress", address, "--listenPort", "9876"]);
        let names = Process::start("rocketmq-rust's name server", &mut command)?;
        names.answers(&format!("{address}:9876"))?;
        Ok(names)
    }

    /// The broker, over what an earlier one may have left; returns once it serves.
    pub fn broker(&self, folder: &Path, address: &str, settings: &[&str]) -> Result<Process> {
        let mut command = self.broker_command(folder, address, settings)?;
        let broker = Process::start("rocketmq-rust's broker", &mut command)?;
        broker.says(RocketMqRust::READY)?;
        Ok(broker)
    }

    /// What starts the broker, for whoever starts and kills it in a way of their own.
    /// `settings` are lines of its TOML, each with its section: `store.syncFlushTimeout = 1000`.
    pub fn broker_command(
        &self,
        folder: &Path,
        address: &str,
        settings: &[&str],
    ) -> Result<Command> {
        let text = format!(
            "broker.listenPort = 10911\nbroker.brokerIp1 = \"{address}\"\n\
             broker.brokerServerConfig.bindAddress = \"{address}\"\n\
             broker.brokerIdentity.brokerName = \"broker-a\"\n\
             broker.brokerIdentity.brokerClusterName = \"DefaultCluster\"\n\
             broker.brokerIdentity.brokerId = 0\n\
             broker.storePathRootDir = \"{0}/store\"\nstore.storePathRootDir = \"{0}/store\"\n\
             store.haListenAddress = \"{address}\"\n{1}\n",
            folder.display(),
            settings.join("\n"),
        );
        let path = folder.join("broker.toml");
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        let mut command = self.command(BROKER, folder);
        command
            .args(["-n", &format!("{address}:9876"), "-c"])
            .arg(path);
        Ok(command)
    }

    /// Bytes of both programs.
    pub fn bytes(&self) -> Result<u64> {
        let size = |name: &str| self.programs.join(name).metadata().map(|file| file.len());
        Ok(size(NAME_SERVER)? + size(BROKER)?)
    }

    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .env("ROCKETMQ_HOME", folder)
            .env("HOME", folder)
            .current_dir(folder);
        command
    }
}

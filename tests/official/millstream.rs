//! A `millstream up` of a test: on free ports, over its own data, gone when the test ends.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::addresses::free_addresses;

/// How long a start may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Millstream {
    child: Child,
    pub name_server: String,
    pub broker: String,
}

impl Millstream {
    /// Starts over `data` and returns once its doors are open.
    pub fn start(data: &Path) -> Result<Millstream> {
        Millstream::with(data, &[])
    }

    /// As [`Millstream::start`], with further settings as `key=value`.
    pub fn with(data: &Path, settings: &[String]) -> Result<Millstream> {
        let [name_server, broker, connect, admin] = free_addresses();
        let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
        command.arg("up").arg("--data").arg(data);
        for setting in [
            format!("nameserver.listen={name_server}"),
            format!("broker.nameservers={name_server}"),
            format!("broker.listen={broker}"),
            "broker.name=broker-a".to_owned(),
            "broker.cluster=DefaultCluster".to_owned(),
            format!("connect.listen={connect}"),
            format!("admin.listen={admin}"),
            // What the tests keep is little, and the machine's disk may be nearly full.
            "store.clean-percent=100".to_owned(),
            "store.refuse-percent=100".to_owned(),
        ] {
            command.arg("--set").arg(setting);
        }
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start millstream")?;
        let ready = watch(&mut child)?;
        let millstream = Millstream {
            child,
            name_server,
            broker,
        };
        ready
            .recv_timeout(PATIENCE)
            .context("millstream did not say that it is ready")?;
        Ok(millstream)
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        peers::run(Command::new("kill").args(["-TERM", &id]))?;
        let status = self.child.wait()?;
        ensure!(
            status.success(),
            "millstream ended with {status} after SIGTERM"
        );
        Ok(())
    }
}

impl Drop for Millstream {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Repeats what it complains about, and tells when its doors are open.
fn watch(child: &mut Child) -> Result<Receiver<()>> {
    let errors = child.stderr.take().context("its errors are piped")?;
    let (open, ready) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            if line.starts_with("broker ") {
                open.send(()).ok();
            } else if ["WARN", "ERROR", "rror:"]
                .iter()
                .any(|word| line.contains(word))
            {
                println!("millstream says: {line}");
            }
        }
    });
    Ok(ready)
}

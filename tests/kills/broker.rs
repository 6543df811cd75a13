//! `millstream up` as a process that can be killed and started again over the same data.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::addresses::free_addresses;
use crate::milliseconds;

/// How long a start may take before the run has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// Small, so that kills often meet the change from one segment to the next.
const SEGMENT: &str = "1MiB";

pub struct Broker {
    data: PathBuf,
    flush: String,
    pub name_server: String,
    /// Of the broker, the connectors' and the admin API.
    others: [String; 3],
    running: Option<Running>,
}

struct Running {
    child: Child,
    /// When the child said where its doors are.
    ready: Receiver<i64>,
}

impl Broker {
    pub fn start(data: &Path, flush: &str) -> Result<Broker> {
        let [name_server, others @ ..] = free_addresses::<4>();
        let mut broker = Broker {
            data: data.to_owned(),
            flush: flush.to_owned(),
            name_server,
            others,
            running: None,
        };
        broker.start_again()?;
        Ok(broker)
    }

    /// Starts it; does not wait until it serves.
    pub fn start_again(&mut self) -> Result<()> {
        let [broker, connect, admin] = &self.others;
        let settings = [
            format!("store.flush={}", self.flush),
            format!("store.segment-bytes={SEGMENT}"),
            format!("nameserver.listen={}", self.name_server),
            format!("broker.nameservers={}", self.name_server),
            format!("broker.listen={broker}"),
            format!("connect.listen={connect}"),
            format!("admin.listen={admin}"),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
        command.arg("up").arg("--data").arg(&self.data);
        for setting in settings {
            command.arg("--set").arg(setting);
        }
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let errors = child.stderr.take().context("its errors are piped")?;
        let (said, ready) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                if line.starts_with("broker ") {
                    said.send(milliseconds()).ok();
                } else if ["WARN", "ERROR", "Error"]
                    .iter()
                    .any(|word| line.contains(word))
                {
                    println!("the broker says: {line}");
                }
            }
        });
        self.running = Some(Running { child, ready });
        Ok(())
    }

    /// Waits until its doors are open; since when, in milliseconds since 1970.
    pub fn ready(&self) -> Result<i64> {
        let running = self.running.as_ref().context("it was started")?;
        let ready = running.ready.recv_timeout(PATIENCE);
        ready.context("the broker did not say that it is ready")
    }

    /// SIGKILL; returns once the process is gone. It must not have ended by itself before.
    pub fn kill(&mut self) -> Result<()> {
        let mut running = self.running.take().context("it was started")?;
        let ended = running.child.try_wait()?;
        ensure!(ended.is_none(), "the broker ended by itself: {ended:?}");
        running.child.kill()?;
        running.child.wait()?;
        Ok(())
    }

    /// SIGTERM; the process must end well.
    pub fn stop(&mut self) -> Result<()> {
        let mut running = self.running.take().context("it was started")?;
        let id = running.child.id().to_string();
        peers::run(Command::new("kill").args(["-TERM", &id]))?;
        let status = running.child.wait()?;
        ensure!(
            status.success(),
            "the broker ended with {status} after SIGTERM"
        );
        Ok(())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.child.kill().ok();
            running.child.wait().ok();
        }
    }
}

//! The Java program that sends, reads along, and reads everything at the end.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use peers::{Jars, javac};

use crate::ledger::{Acknowledged, Ledger};

/// How long a restarted broker may take to acknowledge anything before the run has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const QUEUES: &str = "8";
const THREADS: &str = "16";

pub struct Driver {
    child: Child,
    acknowledged: Receiver<Acknowledged>,
    ledger: Option<JoinHandle<Result<Ledger>>>,
}

impl Driver {
    pub fn start(name_server: &str) -> Result<Driver> {
        let jars = Jars::rocketmq("5.5.0")?;
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers/java-kill/Kills.java");
        let classes = javac("java-kill", &[source], &jars)?;
        let mut child = Command::new("java")
            .args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(format!("{}:{}", classes.display(), jars.class_path()))
            .args(["Kills", name_server, "Kills", QUEUES, THREADS])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start java")?;
        let lines = BufReader::new(child.stdout.take().context("its output is piped")?).lines();
        let (tell, acknowledged) = channel();
        let ledger = std::thread::spawn(move || {
            let mut ledger = Ledger::default();
            for line in lines {
                if let Some(acknowledged) = ledger.add(&line?)? {
                    tell.send(acknowledged).ok();
                }
            }
            Ok(ledger)
        });
        Ok(Driver {
            child,
            acknowledged,
            ledger: Some(ledger),
        })
    }

    /// When the first message sent at `since` or later was acknowledged, in milliseconds since 1970.
    pub fn first_acknowledgement(&mut self, since: i64) -> Result<i64> {
        loop {
            match self.acknowledged.recv_timeout(PATIENCE) {
                Ok(next) if next.sent >= since => return Ok(next.acknowledged),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    bail!("nothing was acknowledged within {PATIENCE:?}")
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.ledger()?;
                    bail!("the driver ended by itself");
                }
            }
        }
    }

    /// Waits until so many messages are acknowledged.
    pub fn acknowledgements(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            self.first_acknowledgement(0)?;
        }
        Ok(())
    }

    /// Ends the sending and waits until everything is read.
    pub fn finish(mut self) -> Result<Ledger> {
        drop(self.child.stdin.take());
        self.ledger()
    }

    fn ledger(&mut self) -> Result<Ledger> {
        let reader = self.ledger.take().context("its output was read before")?;
        let ledger = reader.join();
        ledger.map_err(|_| anyhow!("the reader of the driver's output panicked"))?
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

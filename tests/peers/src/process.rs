//! A child process: what it says, what it costs, and its end.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::tools::run;

/// How long a server may take to say that it is ready.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server under measurement; killed when dropped.
pub struct Process {
    name: &'static str,
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts it and gathers what it prints.
    pub fn start(name: &'static str, command: &mut Command) -> Result<Process> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let (said, lines) = channel();
        let output: Box<dyn Read + Send> = Box::new(child.stdout.take().context("piped")?);
        let errors: Box<dyn Read + Send> = Box::new(child.stderr.take().context("piped")?);
        for stream in [output, errors] {
            let said = said.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    said.send(line).ok();
                }
            });
        }
        Ok(Process { name, child, lines })
    }

    /// Waits for a line that contains `text`.
    pub fn says(&self, text: &str) -> Result<()> {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return Ok(()),
                Ok(line) => before.push(line),
                Err(_) => bail!(
                    "{} did not say {text:?} but {}",
                    self.name,
                    before.join("\n")
                ),
            }
        }
    }

    /// Waits until something listens at `address`; for servers that do not say so.
    pub fn answers(&self, address: &str) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > PATIENCE {
                let said: Vec<String> = self.lines.try_iter().collect();
                bail!(
                    "{} does not listen at {address}; it said {}",
                    self.name,
                    said.join("\n")
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// CPU seconds it has used so far, in user mode and in the kernel.
    pub fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
        let (_, fields) = stat
            .rsplit_once(") ")
            .context("/proc/PID/stat has a name")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        let ticks = |index: usize| -> Result<f64> {
            Ok(fields
                .get(index)
                .context("/proc/PID/stat is short")?
                .parse()?)
        };
        Ok((ticks(11)? + ticks(12)?) / TICKS_A_SECOND)
    }

    /// Bytes of memory it holds: all, and without the pages of files.
    pub fn memory(&self) -> Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes = line.and_then(|line| line.split_whitespace().next());
            Ok(kilobytes
                .with_context(|| format!("/proc/PID/status has no {name}"))?
                .parse::<u64>()?
                << 10)
        };
        Ok((field("VmRSS:")?, field("RssAnon:")?))
    }

    /// SIGKILL; returns once it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM; returns once it is gone, whatever it says about that.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        let id = self.child.id().to_string();
        run(Command::new("kill").args(["-TERM", &id]))?;
        Ok(self.child.wait()?)
    }

    /// SIGTERM; fails when it does not end well.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.terminate()?;
        ensure!(
            status.success(),
            "{} ended with {status} after SIGTERM",
            self.name
        );
        Ok(())
    }
}

/// `USER_HZ`, which Linux has fixed for programs.
const TICKS_A_SECOND: f64 = 100.0;

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

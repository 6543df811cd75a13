//! A broker as a process that can be killed, stopped for a while, and started again over the
//! same data.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use runtime::Clock;
use rustix::process::{Pid, Signal, kill_process};

use crate::plan::Flush;
use crate::target::{Place, Target};

/// How long a start may take before the run has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// Lines of a life that are kept.
const KEPT: usize = 200;

pub struct Broker {
    pub target: Target,
    pub place: Place,
    flush: Flush,
    running: Option<Running>,
}

struct Running {
    child: Child,
    /// When the child said that its doors are open, in milliseconds since 1970.
    ready: Receiver<i64>,
    said: Arc<Mutex<Vec<String>>>,
}

/// How a start came out.
#[derive(Debug)]
pub enum Start {
    /// It serves, since this time in milliseconds since 1970.
    Serves(i64),
    /// It ended by itself and said this.
    Refused(String),
}

impl Broker {
    /// Not started yet.
    pub fn new(target: Target, place: Place, flush: Flush) -> Broker {
        Broker {
            target,
            place,
            flush,
            running: None,
        }
    }

    /// The same broker, to be started somewhere else.
    pub fn again_at(&self, place: Place) -> Broker {
        Broker::new(self.target.clone(), place, self.flush)
    }

    /// Starts it; does not wait until it serves.
    pub fn start(&mut self) -> Result<()> {
        let mut command = self.target.command(&self.place, self.flush)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let (tell, ready) = channel();
        let said = Arc::new(Mutex::new(Vec::new()));
        let output: Box<dyn Read + Send> = Box::new(child.stdout.take().context("piped")?);
        let errors: Box<dyn Read + Send> = Box::new(child.stderr.take().context("piped")?);
        for stream in [output, errors] {
            let (tell, said) = (tell.clone(), said.clone());
            let words = self.target.ready_words();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if line.contains(words) {
                        tell.send(Clock::real().wall()).ok();
                    }
                    let mut said = said.lock();
                    if said.len() < KEPT {
                        said.push(line);
                    }
                }
            });
        }
        self.running = Some(Running { child, ready, said });
        Ok(())
    }

    /// Waits until its doors are open, or it has ended.
    pub fn outcome(&mut self) -> Result<Start> {
        let running = self.running.as_mut().context("it was started")?;
        match running.ready.recv_timeout(PATIENCE) {
            Ok(at) => Ok(Start::Serves(at)),
            // Both its streams have ended, and so has it.
            Err(RecvTimeoutError::Disconnected) => {
                running.child.wait()?;
                let said = running.said.lock().join("\n");
                self.running = None;
                Ok(Start::Refused(said))
            }
            Err(RecvTimeoutError::Timeout) => {
                let said = running.said.lock().join("\n");
                bail!("the broker did not begin to serve within {PATIENCE:?}; it said {said}")
            }
        }
    }

    /// Waits until its doors are open; since when, in milliseconds since 1970.
    pub fn ready(&mut self) -> Result<i64> {
        match self.outcome()? {
            Start::Serves(at) => Ok(at),
            Start::Refused(said) => bail!("the broker does not start: {said}"),
        }
    }

    /// SIGKILL; returns once the process is gone. It must not have ended by itself before.
    pub fn kill(&mut self) -> Result<()> {
        let mut running = self.running.take().context("it was started")?;
        if let Some(ended) = running.child.try_wait()? {
            let said = running.said.lock().join("\n");
            bail!("the broker ended by itself with {ended}: {said}");
        }
        running.child.kill()?;
        let status = running.child.wait()?;
        ensure!(
            status.signal() == Some(Signal::KILL.as_raw()),
            "the broker ended with {status} before it could be killed"
        );
        Ok(())
    }

    /// SIGSTOP: it does nothing until it is told to go on, and its connections stay open.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGTERM; the process must end well, if it is ours.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let mut running = self.running.take().context("it was started")?;
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = running.child.try_wait()? {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                running.child.kill()?;
                running.child.wait()?;
                bail!("the broker did not end within {PATIENCE:?} after SIGTERM");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        ensure!(
            status.success() || !self.target.is_ours(),
            "the broker ended with {status} after SIGTERM: {}",
            running.said.lock().join("\n")
        );
        Ok(())
    }

    /// Lines it has said that are a complaint.
    pub fn complaints(&self) -> Vec<String> {
        let Some(running) = &self.running else {
            return Vec::new();
        };
        let said = running.said.lock();
        let words = ["WARN", "ERROR", "Error", "panicked"];
        let loud = |line: &&String| words.iter().any(|word| line.contains(word));
        said.iter().filter(loud).cloned().collect()
    }

    /// Segments of its log, newest last.
    pub fn segments(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.target.log(&self.place));
        let entries = entries.into_iter().flatten().filter_map(Result::ok);
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .collect();
        names.sort();
        names
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let running = self.running.as_ref().context("it was started")?;
        let pid = Pid::from_child(&running.child);
        kill_process(pid, signal).context("the broker cannot be signalled")
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

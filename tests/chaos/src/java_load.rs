//! The load by the official Java client: `Kills.java`, whose lines are events of the history.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, bail, ensure};
use history::{Event, Place, Queue};
use peers::{Jars, javac};

use crate::recorder::Recorder;

const TOPIC: &str = "Kills";
const QUEUES: &str = "8";
/// The message that makes the topic; its sender tries until it is there.
const FIRST: u64 = 1 << 63;
/// Numbers of Java's messages begin here, apart from our own client's.
const JAVA: u64 = 1 << 62;
/// Its producers are numbered apart, too.
const PRODUCERS: u32 = 1_000;

pub(crate) struct JavaLoad {
    child: Child,
    lines: Option<JoinHandle<Result<bool>>>,
    acknowledged: Arc<AtomicU64>,
}

impl JavaLoad {
    /// `threads` send as fast as they can.
    pub(crate) fn start(name_server: &str, recorder: &Recorder, threads: u32) -> Result<JavaLoad> {
        let jars = Jars::rocketmq("5.5.0")?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../drivers/java-kill/Kills.java");
        let classes = javac("java-kill", &[source], &jars)?;
        let mut child = Command::new("java")
            .args(["-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp"])
            .arg(format!("{}:{}", classes.display(), jars.class_path()))
            .args(["Kills", name_server, TOPIC, QUEUES, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start java")?;
        let lines = BufReader::new(child.stdout.take().context("its output is piped")?).lines();
        let mut reader = Lines::new(recorder.clone());
        let acknowledged = reader.acknowledged.clone();
        let lines = std::thread::spawn(move || {
            for line in lines {
                let line = line?;
                reader
                    .take(&line)
                    .with_context(|| format!("the Java program said {line:?}"))?;
            }
            Ok(reader.whole)
        });
        Ok(JavaLoad {
            child,
            lines: Some(lines),
            acknowledged,
        })
    }

    /// Messages acknowledged so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Fails if the program has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        if self.lines.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish()?;
            bail!("the Java program ended by itself");
        }
        Ok(())
    }

    /// Ends the sending and waits until the program has read everything.
    pub(crate) fn finish(&mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let lines = self.lines.take().context("it is finished once")?;
        let whole = lines.join();
        let whole = whole.map_err(|_| anyhow!("the reader of the Java program panicked"))??;
        ensure!(whole, "the Java program did not read to the end");
        Ok(())
    }
}

impl Drop for JavaLoad {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Takes the program's lines, one event each.
struct Lines {
    recorder: Recorder,
    /// When each message under way was sent.
    sent: HashMap<u64, i64>,
    /// The key by which its producer knows a message: the same wherever it is met.
    keys: HashMap<u64, Box<str>>,
    /// The queue that is being read from its beginning.
    ending: Option<(Queue, u64, u64)>,
    acknowledged: Arc<AtomicU64>,
    whole: bool,
}

impl Lines {
    fn new(recorder: Recorder) -> Lines {
        recorder.add(Event::Sent {
            message: FIRST,
            producer: PRODUCERS - 1,
            queue: None,
            retried: true,
        });
        Lines {
            recorder,
            sent: HashMap::new(),
            keys: HashMap::new(),
            ending: None,
            acknowledged: Arc::default(),
            whole: false,
        }
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["S", id, queue, at] => {
                let (message, producer) = attempt(id)?;
                self.sent.insert(message, at.parse()?);
                self.recorder.add(Event::Sent {
                    message,
                    producer,
                    queue: Some(self.queue(queue)),
                    retried: false,
                });
            }
            ["A", id, key, offset_id, queue, offset, at] => {
                let (message, _) = attempt(id)?;
                let sent = self.sent.remove(&message).context("it was never sent")?;
                let (place, log) = (self.place(queue, offset)?, log_position(offset_id)?);
                self.know(message, key, place);
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
                self.recorder
                    .acknowledged(sent, at.parse()?, message, place, Some(log));
            }
            ["L", id, key, offset_id, queue, offset] => {
                let (place, log) = (self.place(queue, offset)?, Some(log_position(offset_id)?));
                if let Some(message) = self.found(id, key, place)? {
                    self.recorder.add(Event::Seen {
                        place,
                        message,
                        log,
                    });
                }
            }
            ["N", queue, from, to] => {
                self.end();
                self.ending = Some((self.queue(queue), from.parse()?, to.parse()?));
            }
            ["D", id, key, offset_id, queue, offset] => {
                let (place, log) = (self.place(queue, offset)?, Some(log_position(offset_id)?));
                if let Some(message) = self.found(id, key, place)? {
                    self.recorder.add(Event::Drained {
                        place,
                        message,
                        log,
                    });
                }
            }
            ["E"] => {
                self.end();
                self.whole = true;
            }
            _ => bail!("that is no line of the protocol"),
        }
        Ok(())
    }

    /// The last queue was read to its end.
    fn end(&mut self) {
        if let Some((queue, min, max)) = self.ending.take() {
            self.recorder.add(Event::End { queue, min, max });
        }
    }

    fn queue(&self, number: &str) -> Queue {
        self.recorder.queue_named(&format!("{TOPIC}/{number}"))
    }

    fn place(&self, queue: &str, offset: &str) -> Result<Place> {
        Ok(Place {
            queue: self.queue(queue),
            offset: offset.parse()?,
        })
    }

    /// The number of a message that was read, if it is one that was sent.
    fn found(&mut self, id: &str, key: &str, place: Place) -> Result<Option<u64>> {
        let message = match id {
            // It was tried until it was there, and its key with it.
            "first" => return Ok(Some(FIRST)),
            "damaged" => {
                self.recorder.add(Event::Damaged { place });
                return Ok(None);
            }
            id => attempt(id)?.0,
        };
        self.know(message, key, place);
        Ok(Some(message))
    }

    fn know(&mut self, message: u64, key: &str, place: Place) {
        let known = self.keys.entry(message).or_insert_with(|| key.into());
        if **known != *key {
            self.recorder.add(Event::Damaged { place });
        }
    }
}

/// The number and the producer of an attempt, which is called `thread-sequence`.
fn attempt(id: &str) -> Result<(u64, u32)> {
    let (thread, sequence) = id.split_once('-').context("an id is thread-sequence")?;
    let (thread, sequence): (u32, u32) = (thread.parse()?, sequence.parse()?);
    ensure!(thread < 1 << 20, "nobody has so many threads");
    Ok((
        JAVA | u64::from(thread) << 32 | u64::from(sequence),
        PRODUCERS + thread,
    ))
}

/// An offset id is an address and the position in the log, in hexadecimal digits.
fn log_position(offset_id: &str) -> Result<u64> {
    let from = offset_id.len().checked_sub(16).context("it is short")?;
    let digits = offset_id.get(from..).context("it is not text")?;
    Ok(u64::from_str_radix(digits, 16)?)
}

#[cfg(test)]
mod tests {
    use history::Promise;
    use runtime::Clock;

    use super::*;

    const AT: &str = "7F00000100002A9F0000000000000001";
    const BEHIND: &str = "7F00000100002A9F0000000000000002";
    const GOOD: [&str; 7] = [
        "S 0-0 1 5",
        "S 0-1 1 6",
        "A 0-0 AB @ 1 0 9",
        "L 0-0 AB @ 1 0",
        "N 1 0 2",
        "D 0-0 AB @ 1 0",
        "D 0-1 AC + 1 1",
    ];

    #[track_caller]
    fn check(replaced: &str, by: &[&str], expected: &[&str]) {
        let promise = Promise::SurvivesKills { flush_ms: 500 };
        let recorder = Recorder::new(Clock::real(), promise);
        let mut lines = Lines::new(recorder.clone());
        let told = GOOD.iter().flat_map(|line| match *line == replaced {
            true => by.to_vec(),
            false => vec![*line],
        });
        for line in told.chain(["E"]) {
            let line = line.replace('@', AT).replace('+', BEHIND);
            lines.take(&line).expect("it is a line of the protocol");
        }
        let verdict = recorder.take().finish();
        let broken: Vec<&str> = verdict.violations.iter().map(|one| one.promise).collect();
        assert_eq!(broken, expected, "{verdict}");
    }

    #[test]
    fn every_breach_is_noticed() {
        let (first, second) = ("D 0-0 AB @ 1 0", "D 0-1 AC + 1 1");
        check("", &[], &[]);
        check(second, &[], &["D5"]);
        check(first, &[], &["D5", "D1"]);
        check(first, &["D 0-1 AB @ 1 0"], &["D3", "D2", "D4"]);
        check(first, &["D 0-0 AB + 1 0"], &["D3"]);
        check(first, &["D 0-0 XX @ 1 0"], &["D2"]);
        check(first, &["D damaged AB @ 1 0"], &["D2", "D5", "D1"]);
        check(second, &["D 0-9 AC + 1 1"], &["D2"]);
        check("S 0-1 1 6", &["S 0-1 2 6"], &["D2"]);
        check("L 0-0 AB @ 1 0", &["L 0-0 AB @ 1 1"], &["D4", "D4", "D3"]);
    }

    #[test]
    fn a_line_that_is_no_line_is_an_error() {
        let recorder = Recorder::new(Clock::real(), Promise::SurvivesPowerLoss);
        let mut lines = Lines::new(recorder);
        for line in ["", "S 0 1 2", "A 0-0 AB 12 1 0 9", "X"] {
            lines.take(line).expect_err(line);
        }
    }
}

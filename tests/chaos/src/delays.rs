//! Messages that are sent to come later: each is to come once, and not before its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use client::{Client, Durability, Producer, ProducerSettings};
use history::Event;
use model::{Message, Topic, properties};
use runtime::{Clock, Rng};

use crate::body::body;
use crate::producers::was_not_stored;
use crate::recorder::Recorder;

pub(crate) const TOPIC: &str = "ChaosDelayed";
pub(crate) const QUEUES: u32 = 4;
/// The delay levels that a round is long enough for, and their milliseconds.
const LEVELS: [i64; 3] = [1_000, 5_000, 10_000];
/// Milliseconds between two sends.
const PAUSE: std::ops::Range<u64> = 0..30;
/// Number of the producer in the history: beyond the others'.
const NUMBER: u32 = 1_000;
/// How much later than its time the last message may come once all has healed.
const LATE: Duration = Duration::from_secs(60);

/// The producer of them.
pub(crate) struct DelayedSender {
    pub(crate) topic: Topic,
    pub(crate) recorder: Recorder,
    pub(crate) rng: Rng,
    pub(crate) clock: Clock,
    pub(crate) stopped: Arc<AtomicBool>,
}

impl DelayedSender {
    pub(crate) async fn run(self, client: Client) {
        let producer = client.producer(ProducerSettings {
            group: "senders-delayed".to_owned(),
            retries: 0,
            timeout: Duration::from_secs(3),
            ..ProducerSettings::default()
        });
        while !self.stopped.load(Ordering::Relaxed) {
            self.send(&producer).await;
            let pause = Duration::from_millis(self.rng.range(PAUSE));
            self.clock.sleep(pause).await;
        }
    }

    async fn send(&self, producer: &Producer) {
        let number = self.recorder.number();
        let level = self.rng.range(0..LEVELS.len() as u64) as usize;
        let mut message = Message::new(self.topic.clone(), 0, body(number));
        message.properties.set(properties::DELAY, level + 1);
        self.recorder.add(Event::Sent {
            message: number,
            producer: NUMBER,
            queue: None,
            retried: false,
        });
        let asked = self.recorder.wall();
        self.recorder.is_due(number, asked + LEVELS[level]);
        match producer.send(message).await {
            Ok(receipt) if receipt.durability == Durability::FlushLate => {}
            Ok(_) => self.recorder.promised(asked, number),
            Err(why) if was_not_stored(&why) => {
                self.recorder.add(Event::Refused { message: number });
            }
            Err(_) => {}
        }
    }
}

/// Waits until everything that was promised has come.
pub(crate) fn await_all(recorder: &Recorder, clock: &Clock) -> Result<()> {
    let longest = Duration::from_millis(LEVELS.into_iter().max().unwrap_or(0).unsigned_abs());
    let begun = clock.now();
    while let Some(message) = recorder.awaited() {
        if clock.now().since(begun) > longest + LATE {
            bail!("D12: {message} was to come later and has not come {LATE:?} after its time");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

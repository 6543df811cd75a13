//! Sends messages and notes what became of each.

use std::time::Duration;

use client::{Error, Producer, ProducerSettings, SendReceipt};
use history::Event;
use model::{Message, MessageId, Topic};
use protocol::ResponseCode;
use runtime::{Clock, Rng};

use crate::recorder::Recorder;
use crate::world::Host;

/// One producer, which sends one thing after another.
pub(crate) struct Sender {
    pub(crate) number: u32,
    pub(crate) topics: Vec<Topic>,
    pub(crate) recorder: Recorder,
    pub(crate) rng: Rng,
    pub(crate) clock: Clock,
    pub(crate) messages: u64,
}

impl Sender {
    pub(crate) async fn run(self, host: Host) {
        let client = host.client().await;
        let retries = if self.rng.chance(0.3) { 2 } else { 0 };
        let producer = client.producer(ProducerSettings {
            group: format!("producers-{}", self.number),
            retries,
            timeout: Duration::from_millis(self.rng.range(200..4_000)),
            ..ProducerSettings::default()
        });
        let mut sent = 0;
        while sent < self.messages {
            sent += match self.rng.range(0..10) {
                0..2 => self.batch(&producer, retries > 0).await,
                2..5 => self.chosen(&producer).await,
                _ => self.any(&producer, retries > 0).await,
            };
            // Bursts, with a rest between them: faults meet both.
            let pause = match self.rng.range(0..8) {
                0 => self.rng.range(0..2_000),
                1..4 => self.rng.range(0..30),
                _ => 0,
            };
            self.clock.sleep(Duration::from_millis(pause)).await;
        }
    }

    fn message(&self, topic: &Topic) -> (u64, Message) {
        let padding = match self.rng.range(0..10) {
            0 => self.rng.range(1_000..3_000),
            _ => self.rng.range(0..100),
        };
        self.recorder.message(topic, padding as usize)
    }

    fn topic(&self) -> &Topic {
        &self.topics[self.rng.range(0..self.topics.len() as u64) as usize]
    }

    fn note(&self, message: u64, queue: Option<history::Queue>, retried: bool) {
        self.recorder.add(Event::Sent {
            message,
            producer: self.number,
            queue,
            retried,
        });
    }

    async fn any(&self, producer: &Producer, retried: bool) -> u64 {
        let (number, message) = self.message(self.topic());
        self.note(number, None, retried);
        let outcome = producer.send(message).await;
        self.settle(&[number], outcome, retried);
        1
    }

    /// To a queue of our choice: never sent twice.
    async fn chosen(&self, producer: &Producer) -> u64 {
        let topic = self.topic();
        let Ok(queues) = producer.queues(topic).await else {
            return 0;
        };
        let queue = &queues[self.rng.range(0..queues.len() as u64) as usize];
        let (number, message) = self.message(topic);
        self.note(number, Some(self.recorder.queue(&queue.id())), false);
        let outcome = producer.send_to(queue, message).await;
        self.settle(&[number], outcome, false);
        1
    }

    async fn batch(&self, producer: &Producer, retried: bool) -> u64 {
        let topic = self.topic();
        let count = self.rng.range(1..6);
        let (numbers, messages): (Vec<u64>, Vec<Message>) =
            (0..count).map(|_| self.message(topic)).unzip();
        for number in &numbers {
            self.note(*number, None, retried);
        }
        let outcome = producer.send_batch(messages).await;
        self.settle(&numbers, outcome, retried);
        count
    }

    fn settle(&self, numbers: &[u64], outcome: Result<SendReceipt, Error>, retried: bool) {
        match outcome {
            Ok(receipt) => {
                let log = receipt.message_id.split(',').map(|id| {
                    let id = MessageId::parse(id).expect("an id the broker made");
                    id.log_offset.0
                });
                for ((offset, number), log) in (receipt.offset.0..).zip(numbers).zip(log) {
                    self.recorder.add(Event::Acknowledged {
                        message: *number,
                        place: self.recorder.place(&receipt.queue.id(), offset),
                        log: Some(log),
                    });
                }
            }
            Err(why) if !retried && was_not_stored(&why) => {
                for number in numbers {
                    self.recorder.add(Event::Refused { message: *number });
                }
            }
            Err(_) => {}
        }
    }
}

/// Whether an error says for certain that nothing was stored.
fn was_not_stored(why: &Error) -> bool {
    match why {
        Error::Illegal { .. } | Error::NoRoute { .. } | Error::NoQueues { .. } => true,
        Error::Unsent {
            last, attempts: 1, ..
        } => was_not_stored(last),
        Error::Refused { code, .. } => {
            matches!(
                *code,
                ResponseCode::MESSAGE_ILLEGAL | ResponseCode::TOPIC_NOT_EXIST
            )
        }
        _ => false,
    }
}

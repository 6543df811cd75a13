//! Our own client's senders: one message, or several as one, after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use client::{Client, Durability, Error, Producer, ProducerSettings, SendReceipt};
use history::Event;
use model::{Message, MessageId, Topic};
use protocol::ResponseCode;
use runtime::{Clock, Rng};

use crate::body::body;
use crate::recorder::Recorder;

/// One producer, which never sends anything twice.
pub(crate) struct Sender {
    pub(crate) number: u32,
    pub(crate) topic: Topic,
    pub(crate) recorder: Recorder,
    pub(crate) rng: Rng,
    pub(crate) clock: Clock,
    pub(crate) stopped: Arc<AtomicBool>,
}

impl Sender {
    pub(crate) async fn run(self, client: Client) {
        let producer = client.producer(ProducerSettings {
            group: format!("senders-{}", self.number),
            retries: 0,
            timeout: Duration::from_secs(3),
            ..ProducerSettings::default()
        });
        while !self.stopped.load(Ordering::Relaxed) {
            let outcome = match self.rng.range(0..10) {
                0..2 => self.batch(&producer).await,
                2..5 => self.chosen(&producer).await,
                _ => self.any(&producer).await,
            };
            // Bursts, with a rest between them: trouble meets both.
            let pause = match (outcome, self.rng.range(0..8)) {
                (Err(_), _) => 10,
                (Ok(()), 0) => self.rng.range(0..40),
                (Ok(()), 1..4) => self.rng.range(0..4),
                _ => 0,
            };
            if pause > 0 {
                self.clock.sleep(Duration::from_millis(pause)).await;
            }
        }
    }

    fn message(&self, queue: Option<history::Queue>) -> (u64, Message) {
        let number = self.recorder.number();
        self.recorder.add(Event::Sent {
            message: number,
            producer: self.number,
            queue,
            retried: false,
        });
        (number, Message::new(self.topic.clone(), 0, body(number)))
    }

    async fn any(&self, producer: &Producer) -> Result<(), Error> {
        let (number, message) = self.message(None);
        let asked = self.recorder.wall();
        let outcome = producer.send(message).await;
        self.settle(asked, &[number], outcome)
    }

    /// To a queue of our choice.
    async fn chosen(&self, producer: &Producer) -> Result<(), Error> {
        let queues = producer.queues(&self.topic).await?;
        let queue = &queues[self.rng.range(0..queues.len() as u64) as usize];
        let (number, message) = self.message(Some(self.recorder.queue(&queue.id())));
        let asked = self.recorder.wall();
        let outcome = producer.send_to(queue, message).await;
        self.settle(asked, &[number], outcome)
    }

    async fn batch(&self, producer: &Producer) -> Result<(), Error> {
        let count = self.rng.range(1..6);
        let (numbers, messages): (Vec<u64>, Vec<Message>) =
            (0..count).map(|_| self.message(None)).unzip();
        let asked = self.recorder.wall();
        let outcome = producer.send_batch(messages).await;
        self.settle(asked, &numbers, outcome)
    }

    fn settle(
        &self,
        asked: i64,
        numbers: &[u64],
        outcome: Result<SendReceipt, Error>,
    ) -> Result<(), Error> {
        let receipt = match outcome {
            Ok(receipt) => receipt,
            Err(why) => {
                if was_not_stored(&why) {
                    for number in numbers {
                        self.recorder.add(Event::Refused { message: *number });
                    }
                }
                if let Some(remark) = no_room(&why) {
                    self.recorder.no_room(&remark);
                }
                return Err(why);
            }
        };
        // Stored, but not as safe as the broker is set to make it: that promises nothing.
        if receipt.durability == Durability::FlushLate {
            return Ok(());
        }
        let at = self.recorder.wall();
        let log = receipt.message_id.split(',').map(MessageId::parse);
        let logs: Vec<Option<u64>> = log.map(|id| Some(id.ok()?.log_offset.0)).collect();
        for (index, (offset, number)) in (receipt.offset.0..).zip(numbers).enumerate() {
            let place = self.recorder.place(&receipt.queue.id(), offset);
            let log = logs.get(index).copied().flatten();
            self.recorder.acknowledged(asked, at, *number, place, log);
        }
        Ok(())
    }
}

/// Whether an error says for certain that nothing was stored.
pub(crate) fn was_not_stored(why: &Error) -> bool {
    match why {
        Error::Illegal { .. } | Error::NoRoute { .. } | Error::NoQueues { .. } => true,
        Error::Unsent { last, .. } => was_not_stored(last),
        Error::Refused { code, .. } => matches!(
            *code,
            ResponseCode::MESSAGE_ILLEGAL | ResponseCode::TOPIC_NOT_EXIST
        ),
        _ => false,
    }
}

/// What a refusal for want of room says.
fn no_room(why: &Error) -> Option<String> {
    match why {
        Error::Unsent { last, .. } => no_room(last),
        Error::Refused { code, remark, .. }
            if *code == ResponseCode::SERVICE_NOT_AVAILABLE && remark.contains("full") =>
        {
            Some(remark.clone())
        }
        _ => None,
    }
}

//! Our own client's readers: of every queue by itself, by a group that shares them, and of
//! everything at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use client::{
    Batch, Client, ConsumeFrom, Filter, Outcome, PullConsumer, PullStatus, Pulled, PushConsumer,
    PushSettings,
};
use history::Event;
use model::{ConsumerGroup, QueueId, QueueOffset, Topic};
use runtime::{Clock, Rng};

use crate::body::number_of;
use crate::recorder::Recorder;

/// The group whose members share the topic.
pub(crate) const SHARING: u32 = 1;
/// The group that reads every queue itself and says how far it is.
pub(crate) const READING: u32 = 2;

/// How long a pull may wait for messages.
const HOLD: Duration = Duration::from_secs(1);
/// How long the last reading may take to get an answer.
const PATIENCE: Duration = Duration::from_secs(60);

fn group(number: u32) -> ConsumerGroup {
    ConsumerGroup::parse(&format!("chaos-{number}")).expect("a group's name")
}

/// Joins the sharing group; a member for as long as it is kept.
pub(crate) async fn join(
    client: &Client,
    topic: &Topic,
    recorder: &Recorder,
) -> Result<PushConsumer> {
    let recorder = recorder.clone();
    let listener = move |batch: Batch| {
        let recorder = recorder.clone();
        async move {
            for stored in batch.iter() {
                let place = recorder.place(&stored.message.queue_id(), stored.queue_offset.0);
                let Some(message) = number_of(&stored.message.body) else {
                    recorder.add(Event::Damaged { place });
                    continue;
                };
                // A message that comes again lies in another topic than it says.
                if stored.message.reconsume_times == 0 {
                    recorder.add(Event::Seen {
                        place,
                        message,
                        log: Some(stored.log_offset.0),
                    });
                }
                recorder.add(Event::Finished {
                    group: SHARING,
                    message,
                });
            }
            Outcome::Done
        }
    };
    let builder = client.push_consumer(PushSettings {
        from: ConsumeFrom::Start,
        concurrency: 2,
        ..PushSettings::new(group(SHARING))
    });
    let builder = builder.subscribe(topic.clone(), Filter::All);
    Ok(builder.start(listener).await?)
}

/// Reads one queue from its start for as long as it may.
pub(crate) struct Reader {
    pub(crate) number: u32,
    pub(crate) queue: QueueId,
    pub(crate) recorder: Recorder,
    pub(crate) rng: Rng,
    pub(crate) clock: Clock,
    pub(crate) stopped: Arc<AtomicBool>,
}

impl Reader {
    pub(crate) async fn run(self, client: Client) {
        let consumer = client.pull_consumer(group(READING));
        let sharing = client.pull_consumer(group(SHARING));
        let mut next = 0;
        while !self.stopped.load(Ordering::Relaxed) {
            let asked = self.recorder.wall();
            let from = QueueOffset(next);
            let pulled = consumer
                .pull(&self.queue, from, 32, &Filter::All, HOLD)
                .await;
            let Ok(pulled) = pulled else {
                self.clock.sleep(Duration::from_millis(20)).await;
                continue;
            };
            next = self.note(asked, next, &pulled);
            if self.rng.chance(0.2) {
                self.commit(&consumer, next).await;
            }
            if self.rng.chance(0.2) {
                self.ask(&sharing, SHARING).await;
            }
        }
    }

    /// Notes what a pull brought; the offset to go on from.
    fn note(&self, asked: i64, next: u64, pulled: &Pulled) -> u64 {
        let recorder = &self.recorder;
        let note = |event| recorder.add_of_this_power(asked, event);
        note(Event::Starts {
            reader: self.number,
            place: recorder.place(&self.queue, next),
        });
        note(Event::Bounds {
            queue: recorder.queue(&self.queue),
            min: pulled.min.0,
            max: pulled.max.0,
        });
        if pulled.status == PullStatus::OffsetMoved {
            return pulled.next.0;
        }
        let mut next = next;
        for stored in &pulled.messages {
            let place = recorder.place(&self.queue, stored.queue_offset.0);
            let Some(message) = number_of(&stored.message.body) else {
                recorder.add(Event::Damaged { place });
                continue;
            };
            note(Event::Read {
                reader: self.number,
                place,
                message,
                log: Some(stored.log_offset.0),
            });
            recorder.came(message, stored.stored.0);
            recorder.add(Event::Finished {
                group: READING,
                message,
            });
            next = place.offset + 1;
        }
        next
    }

    async fn commit(&self, consumer: &PullConsumer, next: u64) {
        let kept = consumer.commit(&self.queue, QueueOffset(next)).await;
        if kept.is_ok() {
            self.ask(consumer, READING).await;
        }
    }

    /// Notes what the broker says of a group's progress.
    async fn ask(&self, consumer: &PullConsumer, group: u32) {
        let asked = self.recorder.wall();
        if let Ok(Some(offset)) = consumer.committed(&self.queue).await {
            let event = Event::Committed {
                group,
                queue: self.recorder.queue(&self.queue),
                offset: offset.0,
                alone: group == READING,
            };
            self.recorder.add_of_this_life(asked, event);
        }
    }
}

/// At the end: everything a queue holds.
pub(crate) async fn drain(client: &Client, queue: &QueueId, recorder: &Recorder) -> Result<()> {
    let consumer = client.pull_consumer(group(3));
    let clock = Clock::real();
    let begun = clock.now();
    let (min, max) = loop {
        let bounds = (
            consumer.min_offset(queue).await,
            consumer.max_offset(queue).await,
        );
        match bounds {
            (Ok(min), Ok(max)) => break (min, max),
            (Err(why), _) | (_, Err(why)) if clock.now().since(begun) > PATIENCE => {
                return Err(why).with_context(|| format!("{queue} does not tell its bounds"));
            }
            _ => clock.sleep(Duration::from_millis(50)).await,
        }
    };
    let mut next = min;
    while next < max {
        let pulled = consumer
            .pull(queue, next, 32, &Filter::All, Duration::ZERO)
            .await
            .with_context(|| format!("{queue} cannot be read at {}", next.0))?;
        for stored in &pulled.messages {
            let place = recorder.place(queue, stored.queue_offset.0);
            match number_of(&stored.message.body) {
                Some(message) => {
                    recorder.came(message, stored.stored.0);
                    recorder.add(Event::Drained {
                        place,
                        message,
                        log: Some(stored.log_offset.0),
                    });
                }
                None => recorder.add(Event::Damaged { place }),
            }
        }
        ensure!(
            pulled.next > next,
            "liveness: a pull of {queue} at {}, below its end {}, does not go on",
            next.0,
            max.0
        );
        next = pulled.next;
    }
    recorder.add(Event::End {
        queue: recorder.queue(queue),
        min: min.0,
        max: max.0,
    });
    Ok(())
}

/// What the broker says of both groups' progress in a queue.
pub(crate) async fn ask_progress(
    client: &Client,
    queue: &QueueId,
    recorder: &Recorder,
) -> Result<()> {
    for number in [SHARING, READING] {
        let consumer = client.pull_consumer(group(number));
        if let Some(offset) = consumer.committed(queue).await? {
            recorder.add(Event::Committed {
                group: number,
                queue: recorder.queue(queue),
                offset: offset.0,
                alone: number == READING,
            });
        }
    }
    Ok(())
}

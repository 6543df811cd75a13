//! Reads messages in three ways and notes what was seen.

use std::time::Duration;

use client::{
    Batch, Client, ConsumeFrom, Filter, Outcome, PullConsumer, PullStatus, Pulled, PushConsumer,
    PushSettings,
};
use history::Event;
use model::{ConsumerGroup, QueueId, QueueOffset, StoredMessage, Topic};
use runtime::Rng;

use crate::recorder::{Recorder, number_of};
use crate::world::Host;

/// The group whose members share the topics.
pub(crate) const SHARING: u32 = 1;
/// The group that reads every queue itself and says how far it is.
pub(crate) const READING: u32 = 2;

/// How long a pull may wait for messages.
const HOLD: Duration = Duration::from_secs(2);

fn group(number: u32) -> ConsumerGroup {
    ConsumerGroup::parse(&format!("group-{number}")).expect("a group's name")
}

/// A member of the sharing group. One batch in twenty is wanted again while `clumsy`.
pub(crate) struct Member {
    pub(crate) topics: Vec<Topic>,
    pub(crate) recorder: Recorder,
    pub(crate) rng: Rng,
    pub(crate) clumsy: f64,
}

impl Member {
    pub(crate) async fn start(self, host: &Host) -> PushConsumer {
        let (client, clock) = (host.client().await, host.tasks.clock().clone());
        let Member {
            topics,
            recorder,
            rng,
            clumsy,
        } = self;
        let listener = move |batch: Batch| {
            let (recorder, rng, clock) = (recorder.clone(), rng.clone(), clock.clone());
            async move {
                clock.sleep(Duration::from_millis(rng.range(0..20))).await;
                let again = rng.chance(clumsy);
                for stored in batch.iter() {
                    let number = number_of(&stored.message.body);
                    seen(&recorder, stored, number);
                    match number {
                        Some(message) if again => recorder.add(Event::Postponed {
                            group: SHARING,
                            message,
                        }),
                        Some(message) => recorder.add(Event::Finished {
                            group: SHARING,
                            message,
                        }),
                        None => damaged(&recorder, stored),
                    }
                }
                if again { Outcome::Again } else { Outcome::Done }
            }
        };
        let mut builder = client.push_consumer(PushSettings {
            from: ConsumeFrom::Start,
            concurrency: 4,
            ..PushSettings::new(group(SHARING))
        });
        for topic in topics {
            builder = builder.subscribe(topic, Filter::All);
        }
        builder.start(listener).await.expect("no filter to refuse")
    }
}

/// A message that comes again lies in another topic than it says.
fn seen(recorder: &Recorder, stored: &StoredMessage, number: Option<u64>) {
    let Some(message) = number.filter(|_| stored.message.reconsume_times == 0) else {
        return;
    };
    recorder.add(Event::Seen {
        place: recorder.place(&stored.message.queue_id(), stored.queue_offset.0),
        message,
        log: Some(stored.log_offset.0),
    });
}

fn damaged(recorder: &Recorder, stored: &StoredMessage) {
    let place = recorder.place(&stored.message.queue_id(), stored.queue_offset.0);
    recorder.add(Event::Damaged { place });
}

/// Reads one queue from its start, for ever.
pub(crate) struct Reader {
    pub(crate) number: u32,
    pub(crate) queue: QueueId,
    pub(crate) recorder: Recorder,
    pub(crate) rng: Rng,
}

impl Reader {
    pub(crate) async fn run(self, host: Host) {
        let client = host.client().await;
        let (consumer, clock) = (client.pull_consumer(group(READING)), host.tasks.clock());
        let sharing = client.pull_consumer(group(SHARING));
        let mut next = 0;
        loop {
            let place = self.recorder.place(&self.queue, next);
            let from = QueueOffset(next);
            let pulled = consumer
                .pull(&self.queue, from, 8, &Filter::All, HOLD)
                .await;
            let Ok(pulled) = pulled else {
                clock.sleep(Duration::from_millis(50)).await;
                continue;
            };
            self.recorder.add(Event::Starts {
                reader: self.number,
                place,
            });
            next = self.note(next, &pulled);
            if self.rng.chance(0.2) {
                self.commit(&consumer, next).await;
            }
            if self.rng.chance(0.2) {
                self.ask(&sharing, SHARING).await;
            }
        }
    }

    /// Notes what a pull brought; the offset to go on from.
    fn note(&self, next: u64, pulled: &Pulled) -> u64 {
        self.recorder.add(Event::Bounds {
            queue: self.recorder.queue(&self.queue),
            min: pulled.min.0,
            max: pulled.max.0,
        });
        if pulled.status == PullStatus::OffsetMoved {
            return pulled.next.0;
        }
        let mut next = next;
        for stored in &pulled.messages {
            let place = self.recorder.place(&self.queue, stored.queue_offset.0);
            let Some(message) = number_of(&stored.message.body) else {
                damaged(&self.recorder, stored);
                continue;
            };
            self.recorder.add(Event::Read {
                reader: self.number,
                place,
                message,
                log: Some(stored.log_offset.0),
            });
            self.recorder.add(Event::Finished {
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
        if let Ok(Some(offset)) = consumer.committed(&self.queue).await {
            self.recorder.add(Event::Committed {
                group,
                queue: self.recorder.queue(&self.queue),
                offset: offset.0,
                alone: group == READING,
            });
        }
    }
}

/// At the end: everything a queue holds, and how far the groups say they are.
pub(crate) async fn drain(client: &Client, queue: &QueueId, recorder: &Recorder) -> u64 {
    let consumer = client.pull_consumer(group(3));
    let min = consumer.min_offset(queue).await.expect("it has healed");
    let max = consumer.max_offset(queue).await.expect("it has healed");
    let mut next = min;
    while next < max {
        let pulled = consumer
            .pull(queue, next, 32, &Filter::All, Duration::ZERO)
            .await
            .expect("it has healed");
        for stored in &pulled.messages {
            match number_of(&stored.message.body) {
                Some(message) => recorder.add(Event::Drained {
                    place: recorder.place(queue, stored.queue_offset.0),
                    message,
                    log: Some(stored.log_offset.0),
                }),
                None => damaged(recorder, stored),
            }
        }
        assert!(pulled.next > next, "a pull below the end goes on");
        next = pulled.next;
    }
    recorder.add(Event::End {
        queue: recorder.queue(queue),
        min: min.0,
        max: max.0,
    });
    max.0
}

/// What the broker says of both groups' progress in a queue.
pub(crate) async fn ask_progress(client: &Client, queue: &QueueId, recorder: &Recorder) {
    for number in [SHARING, READING] {
        let consumer = client.pull_consumer(group(number));
        let committed = consumer.committed(queue).await.expect("it has healed");
        if let Some(offset) = committed {
            recorder.add(Event::Committed {
                group: number,
                queue: recorder.queue(queue),
                offset: offset.0,
                alone: number == READING,
            });
        }
    }
}

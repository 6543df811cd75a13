//! A push consumer as brokers hear and reach it.

use std::sync::Arc;

use model::QueueOffset;
use protocol::Version;
use protocol::body::{ConsumeType, ConsumerData, ConsumerRunningInfo, MessageQueue, Table};

use super::consumption::Consumption;
use super::progress::message_queue;
use crate::admin::broker_queue;
use crate::members::Member;

impl Member for Consumption {
    fn describe(&self) -> ConsumerData {
        ConsumerData {
            consume_from_where: self.settings.from.on_wire(),
            consume_type: ConsumeType::Passively,
            group_name: self.group().to_string(),
            message_model: self.settings.model,
            subscription_data_set: self.subscription_data(),
            unit_mode: false,
        }
    }

    fn group_changed(&self) {
        self.changed.notify_one();
    }

    fn reset(self: Arc<Self>, topic: &str, offsets: Vec<(MessageQueue, QueueOffset)>) {
        let topic = topic.to_owned();
        let busy = self.busy();
        self.client
            .clone()
            .tasks()
            .spawn("reset offsets", async move {
                for (queue, offset) in offsets {
                    let Some(queue) =
                        broker_queue(&queue).filter(|queue| queue.topic.as_str() == topic)
                    else {
                        continue;
                    };
                    let held = self.queues.lock().get(&queue).cloned();
                    if let Some(held) = held {
                        held.move_to(offset);
                        self.keep_progress_of(&held).await;
                    }
                }
                drop(busy);
            });
    }

    fn running_info(&self) -> ConsumerRunningInfo {
        let property = |name: &str, value: String| (name.to_owned(), value);
        let queues = self.held_queues();
        ConsumerRunningInfo {
            mq_table: queues
                .iter()
                .map(|queue| (message_queue(&queue.queue), queue.info()))
                .collect(),
            properties: Table(vec![
                property("PROP_NAMESERVER_ADDR", self.client.names().list()),
                property("PROP_CONSUME_TYPE", "CONSUME_PASSIVELY".to_owned()),
                property("PROP_CONSUMEORDERLY", self.settings.ordered.to_string()),
                property(
                    "PROP_THREADPOOL_CORE_SIZE",
                    self.settings.concurrency.to_string(),
                ),
                property("PROP_CONSUMER_START_TIMESTAMP", self.started.to_string()),
                property("PROP_CLIENT_VERSION", Version::CURRENT.to_string()),
            ]),
            subscription_set: self.subscription_data(),
            ..ConsumerRunningInfo::default()
        }
    }
}

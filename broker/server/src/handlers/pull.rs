//! Messages on their way out.

use std::time::Duration;

use bytes::Bytes;
use delivery::{Error, Filter, Hold, Pull, PullStatus, Pulled, Pulls};
use metadata::{CommittedOffsets, Groups};
use model::{ConsumerGroup, QueueId, QueueOffset, Topic};
use protocol::body::MessageModel;
use protocol::headers::{PullFlags, PullForbidden, PullMessage, PullReply};
use protocol::{Frame, ReadFields, Reply, ResponseCode};

use super::Identity;
use crate::pull_progress::PullProgress;
use crate::respond::Refusal;
use crate::sessions::Sessions;
use crate::statistics::Statistics;

/// Longest a request is held, whatever it asks: its connection must still be alive then.
const LONGEST_HOLD: Duration = Duration::from_secs(60);

/// What a pull needs of the broker.
pub struct Reads<'a> {
    pub identity: &'a Identity,
    pub pulls: &'a Pulls,
    pub groups: &'a Groups,
    pub offsets: &'a CommittedOffsets,
    pub sessions: &'a Sessions,
    pub statistics: &'a Statistics,
    pub progress: &'a PullProgress,
}

impl Reads<'_> {
    /// Answers 11 and 361: messages, or when to ask again, held while there are none.
    pub async fn pull(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = PullMessage::read_fields(&request.header.ext)?;
        let group = ConsumerGroup::parse(header.group)?;
        let config = self.identity.group(&group)?;
        if !config.consume_enable {
            return Ok(forbidden(
                2,
                format!("subscription group no permission, {group}"),
            ));
        }
        let number = u32::try_from(header.queue).unwrap_or(u32::MAX);
        let queue = QueueId::new(Topic::stored(header.topic)?, number);
        let topic = match self.pulls.readable(&queue) {
            Ok(topic) => topic,
            Err(Error::Forbidden { topic, .. }) => {
                return Ok(forbidden(
                    3,
                    format!("the topic[{topic}] pulling message is forbidden"),
                ));
            }
            Err(why) => return Err(why.into()),
        };
        let filter = match self.filter(&header)? {
            Wanted::Messages(filter) => filter,
            Wanted::Refused(reply) => return Ok(*reply),
        };
        // The consumer's own progress comes with its next question.
        if header.flags.has(PullFlags::COMMIT_OFFSET) && header.commit_offset >= 0 {
            self.offsets
                .commit(&group, &queue, QueueOffset(header.commit_offset as u64));
        }
        let hold = match header.flags.has(PullFlags::SUSPEND) {
            true => Hold::UpTo(
                Duration::from_millis(header.suspend_timeout_ms.max(0) as u64).min(LONGEST_HOLD),
            ),
            false => Hold::AnswerAtOnce,
        };
        let pull = Pull {
            group,
            queue,
            offset: QueueOffset(u64::try_from(header.queue_offset).unwrap_or(0)),
            max_messages: usize::try_from(header.max_messages).unwrap_or(0).max(1),
            filter,
            hold,
        };
        self.progress.pulled(&pull.group, &pull.queue, pull.offset);
        let pulled = self.pulls.pull(&pull).await?;
        let bytes = pulled.records.iter().map(Bytes::len).sum();
        self.statistics.got(
            pull.queue.topic.as_str(),
            pull.group.as_str(),
            pulled.records.len() as u64,
            bytes,
        );
        Ok(answer(pulled, topic.system_flag, config.group_sys_flag))
    }

    /// The filter of this request: sent along, or from the group's heartbeat.
    fn filter(&self, header: &PullMessage<'_>) -> Result<Wanted, Refusal> {
        if header.flags.has(PullFlags::SUBSCRIPTION) {
            let filter = Filter::parse(header.expression_type, header.subscription.unwrap_or("*"))?;
            return Ok(Wanted::Messages(filter));
        }
        let Some((model, subscription)) = self.sessions.subscription(header.group, header.topic)
        else {
            return Ok(Wanted::refused(
                ResponseCode::SUBSCRIPTION_NOT_EXIST,
                "the consumer's group info not exist",
            ));
        };
        let group = self.groups.get(header.group);
        if model == MessageModel::Broadcasting
            && group.is_some_and(|group| !group.consume_broadcast_enable)
        {
            return Ok(Wanted::Refused(Box::new(forbidden(
                4,
                format!(
                    "the consumer group[{}] can not consume by broadcast way",
                    header.group
                ),
            ))));
        }
        let Some(subscription) = subscription else {
            return Ok(Wanted::refused(
                ResponseCode::SUBSCRIPTION_NOT_EXIST,
                "the consumer's subscription not exist",
            ));
        };
        if subscription.data.sub_version < header.subscription_version {
            return Ok(Wanted::refused(
                ResponseCode::SUBSCRIPTION_NOT_LATEST,
                "the consumer's subscription not latest",
            ));
        }
        match subscription.filter {
            Ok(filter) => Ok(Wanted::Messages(filter)),
            Err(why) => Ok(Wanted::refused(
                ResponseCode::FILTER_DATA_NOT_EXIST,
                &format!("the consumer's filter cannot be read: {why}"),
            )),
        }
    }
}

enum Wanted {
    Messages(Filter),
    Refused(Box<Reply>),
}

impl Wanted {
    fn refused(code: ResponseCode, remark: &str) -> Wanted {
        Wanted::Refused(Box::new(Reply::new(code).remark(remark.to_owned())))
    }
}

fn forbidden(kind: i32, remark: String) -> Reply {
    Reply::new(ResponseCode::NO_PERMISSION)
        .remark(remark)
        .header(&PullForbidden { kind })
}

fn answer(pulled: Pulled, topic_flag: i32, group_flag: i32) -> Reply {
    let (code, remark) = match pulled.status {
        PullStatus::Found => (ResponseCode::SUCCESS, "FOUND"),
        PullStatus::NoNewMessage => (ResponseCode::PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE"),
        PullStatus::NoneMatched => (ResponseCode::PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MESSAGE"),
        PullStatus::OffsetMoved => (ResponseCode::PULL_OFFSET_MOVED, "OFFSET_RESET"),
    };
    let header = PullReply {
        suggested_broker_id: 0,
        group_sys_flag: Some(group_flag),
        next_begin_offset: pulled.next.0 as i64,
        max_offset: pulled.end.0 as i64,
        min_offset: pulled.min.0 as i64,
        topic_sys_flag: Some(topic_flag),
    };
    Reply::new(code)
        .remark(remark)
        .header(&header)
        .pieces(pulled.records)
}

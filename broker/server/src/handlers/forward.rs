//! Questions that a tool asks a client through the broker.

use std::time::Duration;

use bytes::Bytes;
use model::{LogOffset, MessageId};
use protocol::headers::{ConsumeMessageDirectly, GetConsumerRunningInfo};
use protocol::{ExtFields, Frame, ReadFields, Reply, RequestCode, ResponseCode};
use store::MessageStore;

use super::Identity;
use crate::channel::NoAnswer;
use crate::respond::Refusal;
use crate::sessions::Sessions;

/// What forwarding needs of the broker.
pub struct Forward<'a> {
    pub identity: &'a Identity,
    pub sessions: &'a Sessions,
    pub store: &'a MessageStore,
    pub topics: &'a metadata::Topics,
    pub groups: &'a metadata::Groups,
}

/// How long a client may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Forward<'_> {
    /// Answers 307.
    pub async fn running_info(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = GetConsumerRunningInfo::read_fields(&request.header.ext)?;
        let question = Frame::request(
            RequestCode::GET_CONSUMER_RUNNING_INFO,
            ExtFields::of(&header),
            Bytes::new(),
        );
        self.ask(header.group, header.client_id, question).await
    }

    /// Answers 309: one consumer is handed one message, and says what it made of it.
    pub async fn consume_directly(&self, request: &Frame) -> Result<Reply, Refusal> {
        let mut header = ConsumeMessageDirectly::read_fields(&request.header.ext)?;
        let refused = |why: String| Refusal::code(ResponseCode::SYSTEM_ERROR, why);
        let Some(id) = header.message_id else {
            return Err(refused("msgId is needed".to_owned()));
        };
        let at: LogOffset = id
            .parse::<MessageId>()
            .map(|id| id.log_offset)
            .map_err(|why| refused(why.to_string()))?;
        let record = self.store.record_at(at).await?;
        let topic = model::record::view(&record)
            .ok()
            .map(|record| record.topic.to_owned());
        header.broker = Some(&self.identity.name);
        header.topic = topic.as_deref();
        let config = topic.as_deref().and_then(|topic| self.topics.get(topic));
        header.topic_sys_flag = config.map(|config| config.system_flag);
        let config = self.groups.get(header.group);
        header.group_sys_flag = config.map(|config| config.group_sys_flag);
        let question = Frame::request(
            RequestCode::CONSUME_MESSAGE_DIRECTLY,
            ExtFields::of(&header),
            record,
        );
        let client = header.client_id.unwrap_or_default();
        self.ask(header.group, client, question).await
    }

    async fn ask(&self, group: &str, client: &str, question: Frame) -> Result<Reply, Refusal> {
        let Some(member) = self.sessions.consumer(group, client) else {
            return Err(Refusal::code(
                ResponseCode::SYSTEM_ERROR,
                format!("The Consumer <{group}> <{client}> not online"),
            ));
        };
        let answer = member
            .channel
            .ask(question, &self.identity.clock, PATIENCE)
            .await;
        match answer {
            Ok(answer) => Ok(Reply {
                code: ResponseCode(answer.header.code),
                remark: answer.header.remark,
                ext: answer.header.ext,
                body: answer.body,
                pieces: Vec::new(),
            }),
            Err(NoAnswer::TimedOut) => Err(Refusal::code(
                ResponseCode::CONSUME_MSG_TIMEOUT,
                format!("consumer <{group}> <{client}> Timeout"),
            )),
            Err(NoAnswer::Gone) => Err(Refusal::code(
                ResponseCode::SYSTEM_ERROR,
                format!("invoke consumer <{group}> <{client}> failed: it has just gone"),
            )),
        }
    }
}

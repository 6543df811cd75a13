//! Why a request came to nothing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use model::{NameError, QueueId, Topic};
use protocol::{RequestCode, ResponseCode};

/// Everything that can go wrong between a caller and a broker.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers there, or the connection broke with the request under way. Whether a
    /// request that was under way has been carried out is not known.
    #[error("{address} cannot be reached: {why}")]
    Unreachable { address: Address, why: String },
    /// The request may have been carried out, or may still be.
    #[error("{address} did not answer {asked} within {after_ms} ms")]
    TimedOut {
        address: Address,
        asked: RequestCode,
        after_ms: u64,
    },
    /// A broker or name server answered no.
    #[error("{address} refused {asked}: {remark} (code {code})")]
    Refused {
        address: Address,
        asked: RequestCode,
        code: ResponseCode,
        remark: String,
    },
    /// The answer does not say what it must.
    #[error("{address} gave an unreadable answer to {asked}: {why}")]
    BadReply {
        address: Address,
        asked: RequestCode,
        why: String,
    },
    #[error("no broker serves topic {topic}, say the name servers {name_servers}")]
    NoRoute { topic: Topic, name_servers: String },
    #[error("there is no {access} queue {queue}")]
    NoQueue {
        queue: QueueId,
        access: &'static str,
    },
    #[error("topic {topic} has no {access} queue on a broker that runs")]
    NoQueues { topic: Topic, access: &'static str },
    /// The queue's number is not enough to tell which one is meant.
    #[error("queue {queue} exists on the brokers {brokers}: say which is meant")]
    Ambiguous { queue: QueueId, brokers: String },
    #[error("{what}, say the name servers {name_servers}")]
    NoBroker { what: String, name_servers: String },
    /// Another generation has taken the job over: stop working on it.
    #[error("job {job} has been taken over: {remark}")]
    Fenced { job: String, remark: String },
    /// The request was never sent: it breaks a rule that sending would not mend.
    #[error("this cannot be sent: {why}")]
    Illegal { why: String },
    /// Every attempt to send a message failed; the last one for this reason.
    #[error("the message for {topic} was not acknowledged in {attempts} attempts: {last}")]
    Unsent {
        topic: Topic,
        attempts: u32,
        last: Box<Error>,
    },
    /// What a broadcasting consumer has kept of its progress cannot be read.
    #[error("progress kept in {} cannot be read: {why}", path.display())]
    Progress { path: PathBuf, why: String },
    #[error(transparent)]
    Name(#[from] NameError),
    /// This client, or the consumer that was asked, has been shut down.
    #[error("the {what} is closed")]
    Closed { what: &'static str },
}

impl Error {
    /// The code of a refusal.
    pub fn code(&self) -> Option<ResponseCode> {
        match self {
            Error::Refused { code, .. } => Some(*code),
            Error::Unsent { last, .. } => last.code(),
            _ => None,
        }
    }

    /// Whether the same request may succeed later without anybody changing it.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. }
            | Error::TimedOut { .. }
            | Error::NoRoute { .. }
            | Error::NoQueues { .. }
            | Error::NoBroker { .. } => true,
            Error::Refused { code, .. } => matches!(
                *code,
                ResponseCode::SYSTEM_ERROR
                    | ResponseCode::SYSTEM_BUSY
                    | ResponseCode::SERVICE_NOT_AVAILABLE
                    | ResponseCode::POLLING_FULL
                    | ResponseCode::TOPIC_NOT_EXIST
                    | ResponseCode::SUBSCRIPTION_NOT_EXIST
                    | ResponseCode::SUBSCRIPTION_NOT_LATEST
                    | ResponseCode::FLOW_CONTROL
                    | ResponseCode::GO_AWAY
            ),
            Error::Unsent { last, .. } => last.is_transient(),
            _ => false,
        }
    }
}

/// `host:port` of a broker or name server, and who told us of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    text: Arc<str>,
    origin: Arc<Origin>,
}

/// Who told us of an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The setting that lists name servers.
    Setting,
    /// A name server's route of a topic.
    Route { name_server: Arc<str>, topic: Topic },
    /// A name server's list of all brokers.
    Cluster { name_server: Arc<str> },
    /// A message's id.
    MessageId,
}

impl Address {
    pub(crate) fn new(text: impl Into<Arc<str>>, origin: Origin) -> Address {
        Address {
            text: text.into(),
            origin: Arc::new(origin),
        }
    }

    /// `host:port`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn text(&self) -> Arc<str> {
        self.text.clone()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        match &*self.origin {
            Origin::Setting => write!(out, "name server {text} (from the settings)"),
            Origin::Route { name_server, topic } => write!(
                out,
                "broker {text} (from name server {name_server}'s route of topic {topic})"
            ),
            Origin::MessageId => write!(out, "broker {text} (from the message's id)"),
            Origin::Cluster { name_server } => write!(
                out,
                "broker {text} (from name server {name_server}'s list of brokers)"
            ),
        }
    }
}

//! Turns outcomes into the codes that clients act on. Nothing else here knows them.

use delivery::{Error as Delivery, Resource};
use protocol::{Reply, ResponseCode};

/// Why a request is refused, in whatever words its part of the house has for it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Delivery(#[from] Delivery),
    #[error(transparent)]
    Protocol(#[from] protocol::Error),
    /// A code that only this request knows.
    #[error("{remark}")]
    Code { code: ResponseCode, remark: String },
}

impl Refusal {
    pub fn code(code: ResponseCode, remark: impl Into<String>) -> Refusal {
        Refusal::Code {
            code,
            remark: remark.into(),
        }
    }
}

macro_rules! through_delivery {
    ($($error:ty),*) => {$(
        impl From<$error> for Refusal {
            fn from(why: $error) -> Refusal {
                Refusal::Delivery(why.into())
            }
        }
    )*};
}

through_delivery!(
    store::Error,
    metadata::Error,
    delivery::Refused,
    model::NameError,
    model::RecordError
);

/// The answer of a handler, or the code for why there is none.
pub fn reply(outcome: Result<Reply, Refusal>) -> Reply {
    outcome.unwrap_or_else(|why| {
        let code = code_of(&why);
        if code == ResponseCode::SYSTEM_ERROR {
            tracing::warn!(%why, "a request failed");
        }
        let advice = advice(&why).unwrap_or_default();
        Reply::new(code).remark(format!("{why}{advice}"))
    })
}

/// What the store cannot know: who holds its disk, and when to try again.
fn advice(why: &Refusal) -> Option<&'static str> {
    match why {
        Refusal::Delivery(Delivery::Store(store::Error::DiskFull { .. })) => Some(
            ", held by the log and what else lies on its disk (store.refuse-percent); \
             reads go on, sends when the oldest messages are gone or room is made: \
             try again in 10000 ms",
        ),
        _ => None,
    }
}

fn code_of(why: &Refusal) -> ResponseCode {
    match why {
        Refusal::Code { code, .. } => *code,
        Refusal::Protocol(_) => ResponseCode::SYSTEM_ERROR,
        Refusal::Delivery(why) => code_of_delivery(why),
    }
}

fn code_of_delivery(why: &Delivery) -> ResponseCode {
    match why {
        Delivery::NoSuchTopic { .. } => ResponseCode::TOPIC_NOT_EXIST,
        Delivery::Forbidden { .. } | Delivery::GroupRefused { .. } => ResponseCode::NO_PERMISSION,
        Delivery::NoSuchQueue { .. } | Delivery::Name(_) => ResponseCode::INVALID_PARAMETER,
        Delivery::NoSuchGroup { .. } => ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
        Delivery::Filter { .. } => ResponseCode::SUBSCRIPTION_PARSE_FAILED,
        Delivery::Illegal { .. } => ResponseCode::MESSAGE_ILLEGAL,
        Delivery::Fenced { .. } => ResponseCode::JOB_FENCED,
        Delivery::EpochOrder { .. } => ResponseCode::ILLEGAL_OPERATION,
        Delivery::EpochInFlight { .. } => ResponseCode::SYSTEM_BUSY,
        Delivery::Refused(why) => match why.resource {
            Resource::Polls | Resource::PollsOfQueue => ResponseCode::POLLING_FULL,
            Resource::SendsWaiting | Resource::Stall => ResponseCode::SYSTEM_BUSY,
        },
        Delivery::Store(why) => code_of_store(why),
        Delivery::Metadata(metadata::Error::NoRoom { .. }) => ResponseCode::SERVICE_NOT_AVAILABLE,
        Delivery::NoSuchMessage { .. } | Delivery::Record(_) | Delivery::Metadata(_) => {
            ResponseCode::SYSTEM_ERROR
        }
    }
}

fn code_of_store(why: &store::Error) -> ResponseCode {
    match why {
        store::Error::DiskFull { .. } | store::Error::ReadOnly { .. } | store::Error::Closed => {
            ResponseCode::SERVICE_NOT_AVAILABLE
        }
        store::Error::TooLarge { .. } | store::Error::Record(_) | store::Error::Reserved { .. } => {
            ResponseCode::MESSAGE_ILLEGAL
        }
        _ => ResponseCode::SYSTEM_ERROR,
    }
}

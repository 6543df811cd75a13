//! The broker's second door, two ports below the first: all but the reads, which might be held.
//!
//! Old Java clients send there when they are told to use the "VIP channel", so that their sends
//! do not stand behind pulls.

use std::net::SocketAddr;
use std::sync::Arc;

use protocol::{Frame, RequestCode};

use crate::broker_door::{Broker, not_supported};
use crate::channel::Channel;
use crate::connection::{Answer, Answers, Door};
use crate::respond::reply;

/// Ports between the two doors.
const BELOW: u16 = 2;

pub(crate) struct FastDoor {
    broker: Arc<Broker>,
}

impl FastDoor {
    pub(crate) fn of(broker: Arc<Broker>) -> FastDoor {
        FastDoor { broker }
    }

    /// Where it is, beside a door on `main`; `None` where there is no such port.
    pub(crate) fn beside(main: SocketAddr) -> Option<SocketAddr> {
        let port = main.port().checked_sub(BELOW).filter(|port| *port > 0)?;
        Some(SocketAddr::new(main.ip(), port))
    }
}

impl Door for FastDoor {
    fn answer(self: Arc<Self>, channel: Channel, request: Frame) -> Answer {
        let code = RequestCode(request.header.code);
        match code {
            RequestCode::PULL_MESSAGE | RequestCode::LITE_PULL_MESSAGE => {
                Box::pin(async move { reply(Err(not_supported(code))) })
            }
            _ => self.broker.clone().answer(channel, request),
        }
    }

    fn gathers(&self, request: &Frame) -> bool {
        self.broker.gathers(request)
    }

    fn answer_all(self: Arc<Self>, channel: Channel, requests: Vec<Frame>) -> Answers {
        self.broker.clone().answer_all(channel, requests)
    }

    fn closed(&self, channel: &Channel) {
        self.broker.closed(channel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_door_is_two_ports_below_the_main_one() {
        let beside = |main: &str| FastDoor::beside(main.parse().expect("an address"));
        assert_eq!(
            beside("127.0.0.1:10911"),
            Some(SocketAddr::from(([127, 0, 0, 1], 10_909)))
        );
        assert_eq!(beside("127.0.0.1:2"), None);
        assert_eq!(beside("127.0.0.1:0"), None);
    }
}

//! The connections of a client, one to each address, opened when first needed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use protocol::{Frame, RequestCode, ResponseCode};
use runtime::{Net, Tasks};

use crate::connection::{Connection, Incoming, NoAnswer};
use crate::{Address, Error};

/// Opens, keeps and replaces connections.
pub(crate) struct Connections {
    net: Net,
    tasks: Tasks,
    connect_timeout: Duration,
    incoming: Arc<dyn Incoming>,
    /// Guards a plain map; the connection itself is behind its slot.
    slots: Mutex<BTreeMap<Arc<str>, Arc<Slot>>>,
}

/// Whoever finds no connection opens it, and the others wait for that one.
type Slot = tokio::sync::Mutex<Option<Connection>>;

impl Connections {
    pub(crate) fn new(
        net: Net,
        tasks: Tasks,
        connect_timeout: Duration,
        incoming: Arc<dyn Incoming>,
    ) -> Connections {
        Connections {
            net,
            tasks,
            connect_timeout,
            incoming,
            slots: Mutex::default(),
        }
    }

    /// The answer, whatever its code.
    pub(crate) async fn ask(
        &self,
        address: &Address,
        request: Frame,
        limit: Duration,
    ) -> Result<Frame, Error> {
        let asked = request.header.request_code();
        let connection = self.open(address).await?;
        let failed = |why| failure(why, address, asked, limit);
        connection.ask(request, limit).await.map_err(failed)
    }

    /// The answer, if it says success.
    pub(crate) async fn demand(
        &self,
        address: &Address,
        request: Frame,
        limit: Duration,
    ) -> Result<Frame, Error> {
        let asked = request.header.request_code();
        let answer = self.ask(address, request, limit).await?;
        match answer.header.response_code() {
            ResponseCode::SUCCESS => Ok(answer),
            _ => Err(refused(address, asked, &answer)),
        }
    }

    /// Sends what nobody answers.
    pub(crate) async fn tell(
        &self,
        address: &Address,
        request: Frame,
        limit: Duration,
    ) -> Result<(), Error> {
        let asked = request.header.request_code();
        let connection = self.open(address).await?;
        let failed = |why| failure(why, address, asked, limit);
        connection.tell(request, limit).await.map_err(failed)
    }

    /// By which of our addresses we reach somebody.
    pub(crate) async fn local(&self, address: &Address) -> Result<Option<IpAddr>, Error> {
        Ok(self.open(address).await?.local())
    }

    async fn open(&self, address: &Address) -> Result<Connection, Error> {
        let slot = self.slots.lock().entry(address.text()).or_default().clone();
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let unreachable = |why: String| Error::Unreachable {
            address: address.clone(),
            why,
        };
        if self.tasks.shutdown().is_requested() {
            return Err(Error::Closed { what: "client" });
        }
        let connecting = self.net.connect(address.as_str());
        let stream = match self
            .tasks
            .clock()
            .timeout(self.connect_timeout, connecting)
            .await
        {
            Ok(Ok(stream)) => stream,
            Ok(Err(why)) => return Err(unreachable(why.to_string())),
            Err(_) => {
                let limit = self.connect_timeout.as_millis();
                return Err(unreachable(format!("no connection within {limit} ms")));
            }
        };
        let incoming = self.incoming.clone();
        let connection = Connection::start(stream, address.as_str(), incoming, &self.tasks);
        *slot = Some(connection.clone());
        Ok(connection)
    }
}

pub(crate) fn refused(address: &Address, asked: RequestCode, answer: &Frame) -> Error {
    let remark = match answer.header.remark() {
        "" => "it did not say why".to_owned(),
        remark => remark.trim().to_owned(),
    };
    Error::Refused {
        address: address.clone(),
        asked,
        code: answer.header.response_code(),
        remark,
    }
}

/// An answer of which a part cannot be read.
pub(crate) fn unreadable(
    address: &Address,
    asked: RequestCode,
) -> impl Fn(protocol::Error) -> Error + use<> {
    let address = address.clone();
    move |why| Error::BadReply {
        address: address.clone(),
        asked,
        why: why.to_string(),
    }
}

fn failure(why: NoAnswer, address: &Address, asked: RequestCode, limit: Duration) -> Error {
    match why {
        NoAnswer::Closed(why) => Error::Unreachable {
            address: address.clone(),
            why,
        },
        NoAnswer::TimedOut => Error::TimedOut {
            address: address.clone(),
            asked,
            after_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        },
    }
}

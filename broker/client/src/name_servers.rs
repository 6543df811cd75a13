//! The name servers: all know the same, so the first that answers is asked.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use protocol::{Frame, ResponseCode};

use crate::Error;
use crate::connections::{Connections, refused};
use crate::error::{Address, Origin};

/// Asks name servers, staying with the one that answered last.
pub(crate) struct NameServers {
    addresses: Vec<Address>,
    current: AtomicUsize,
    connections: Arc<Connections>,
    limit: Duration,
}

impl NameServers {
    /// Fails when the list is empty.
    pub(crate) fn new(
        list: &[String],
        connections: Arc<Connections>,
        limit: Duration,
    ) -> Result<NameServers, Error> {
        if list.is_empty() {
            return Err(Error::Illegal {
                why: "no name server is set".to_owned(),
            });
        }
        let address = |text: &String| Address::new(text.as_str(), Origin::Setting);
        Ok(NameServers {
            addresses: list.iter().map(address).collect(),
            current: AtomicUsize::new(0),
            connections,
            limit,
        })
    }

    /// `host:port;host:port`.
    pub(crate) fn list(&self) -> String {
        let addresses: Vec<&str> = self.addresses.iter().map(Address::as_str).collect();
        addresses.join(";")
    }

    /// The address by which we reach the first name server that can be reached.
    pub(crate) async fn local(&self) -> Result<Option<IpAddr>, Error> {
        let mut last = None;
        for address in &self.addresses {
            match self.connections.local(address).await {
                Ok(local) => return Ok(local),
                Err(why) => last = Some(why),
            }
        }
        Err(last.expect("the list of name servers is not empty"))
    }

    /// The answer, whatever its code, and who gave it.
    pub(crate) async fn ask(&self, request: Frame) -> Result<(Address, Frame), Error> {
        let first = self.current.load(Ordering::Relaxed);
        let mut last = None;
        for turn in 0..self.addresses.len() {
            let number = (first + turn) % self.addresses.len();
            let address = &self.addresses[number];
            match self
                .connections
                .ask(address, request.clone(), self.limit)
                .await
            {
                Ok(answer) => {
                    self.current.store(number, Ordering::Relaxed);
                    return Ok((address.clone(), answer));
                }
                Err(why) => last = Some(why),
            }
        }
        Err(last.expect("the list of name servers is not empty"))
    }

    /// The answer, if it says success.
    pub(crate) async fn demand(&self, request: Frame) -> Result<(Address, Frame), Error> {
        let asked = request.header.request_code();
        let (address, answer) = self.ask(request).await?;
        match answer.header.response_code() {
            ResponseCode::SUCCESS => Ok((address, answer)),
            _ => Err(refused(&address, asked, &answer)),
        }
    }

    /// Asks every one of them, and fails with the first failure after all have been asked.
    pub(crate) async fn demand_all(&self, request: Frame) -> Result<(), Error> {
        let mut outcome = Ok(());
        for address in &self.addresses {
            let asked = self
                .connections
                .demand(address, request.clone(), self.limit);
            if let Err(why) = asked.await {
                outcome = outcome.and(Err(why));
            }
        }
        outcome
    }
}

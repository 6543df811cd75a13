//! When a server that is starting takes its first message, and gives one out.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::BytesMut;

use super::frame::{Shape, Template};
use super::rpc::{Rpc, resolve};
use crate::clock::now;

const PATIENCE: u64 = 300_000_000_000;
const PAUSE: Duration = Duration::from_millis(1);

/// Counts from the moment the server is told to start.
pub struct Watch {
    begun: u64,
}

impl Watch {
    pub fn begin() -> Watch {
        Watch { begun: now() }
    }

    /// Seconds until a message for queue 0 of `topic` is accepted, and until the first message
    /// of that queue comes out. The topic is made if the broker does not have it.
    pub fn until_served(&self, broker: &str, topic: &str) -> Result<(f64, f64)> {
        let shape = Shape {
            topic: topic.into(),
            broker: "broker-a".into(),
            queues: 1,
            body: 100,
            batch: 1,
        };
        let mut request = BytesMut::new();
        Template::new(&shape, &[]).write(&mut request, 0, 0, 0, 0);
        let address = resolve(broker)?;
        let sent = self.until("no message is accepted", || {
            let mut rpc = Rpc::connect(address)?;
            match rpc.send(&request)? {
                0 => Ok(true),
                _ => rpc.create_topic(topic, 8, None).map(|()| false),
            }
        })?;
        let delivered = self.until("no message comes out", || {
            Rpc::connect(address)?.gives(topic, 0, 0)
        })?;
        Ok((sent, delivered))
    }

    /// Tries until it is true; a failure is a reason to try again.
    fn until(&self, what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<f64> {
        loop {
            let tried = done();
            if matches!(tried, Ok(true)) {
                return Ok((now() - self.begun) as f64 / 1e9);
            }
            let why = tried.err().map_or_else(String::new, |why| why.to_string());
            ensure!(now() - self.begun < PATIENCE, "{what}: {why}");
            std::thread::sleep(PAUSE);
        }
    }
}

//! What administrators ask of brokers and name servers.

mod groups;
mod key_values;
mod messages;
mod topics;

use std::sync::Arc;

use protocol::body::{ClusterInfo, KvTable};
use protocol::{ExtFields, Frame, RequestCode, body};

use crate::connections::unreadable;
use crate::error::Address;
use crate::{Client, Error};

pub use groups::ResetTo;
pub use messages::Key;
pub use topics::NewTopic;
pub(crate) use topics::broker_queue;

/// Asks every broker that is concerned, one after the other. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    client: Client,
}

impl Client {
    pub fn admin(&self) -> Admin {
        Admin {
            client: self.clone(),
        }
    }
}

impl Admin {
    /// All clusters and brokers the name servers know.
    pub async fn cluster(&self) -> Result<ClusterInfo, Error> {
        Ok(self.client.routes().cluster().await?.1)
    }

    /// Every master with its name, in the order of names; only those of one cluster if it is
    /// given. Fails when there is none.
    pub async fn brokers(&self, cluster: Option<&str>) -> Result<Vec<(Arc<str>, Address)>, Error> {
        self.client.routes().all_masters(cluster).await
    }

    /// What a broker tells of itself: names and values.
    pub async fn broker_info(&self, broker: &Address) -> Result<Vec<(String, String)>, Error> {
        let code = RequestCode::GET_BROKER_RUNTIME_INFO;
        let request = Frame::request(code, ExtFields::new(), bytes::Bytes::new());
        let answer = self.client.demand(broker, request).await?;
        let table: KvTable = body::decode(&answer.body).map_err(unreadable(broker, code))?;
        Ok(table.table.0)
    }
}

//! The small configuration that name servers keep for everybody.

use std::collections::BTreeMap;

use protocol::body::{self, KvTable};
use protocol::headers::{KvConfigKey, KvConfigReply, KvNamespace, PutKvConfig};
use protocol::{ReadFields, RequestCode, ResponseCode};

use super::Admin;
use crate::Error;
use crate::connections::{refused, unreadable};
use crate::pull_consumer::request;

impl Admin {
    /// Keeps a value on every name server.
    pub async fn put_value(&self, namespace: &str, key: &str, value: &str) -> Result<(), Error> {
        let header = PutKvConfig {
            namespace,
            key,
            value,
        };
        let request = request(RequestCode::PUT_KV_CONFIG, &header);
        self.client.names().demand_all(request).await
    }

    /// Forgets a value on every name server; one that is not there is no failure.
    pub async fn remove_value(&self, namespace: &str, key: &str) -> Result<(), Error> {
        let request = request(
            RequestCode::DELETE_KV_CONFIG,
            &KvConfigKey { namespace, key },
        );
        self.client.names().demand_all(request).await
    }

    pub async fn value(&self, namespace: &str, key: &str) -> Result<Option<String>, Error> {
        let code = RequestCode::GET_KV_CONFIG;
        let request = request(code, &KvConfigKey { namespace, key });
        let (address, answer) = self.client.names().ask(request).await?;
        match answer.header.response_code() {
            ResponseCode::SUCCESS => {}
            ResponseCode::QUERY_NOT_FOUND => return Ok(None),
            _ => return Err(refused(&address, code, &answer)),
        }
        let header =
            KvConfigReply::read_fields(&answer.header.ext).map_err(unreadable(&address, code))?;
        Ok(header.value.map(str::to_owned))
    }

    /// Every key of a namespace with its value; none if there is no such namespace.
    pub async fn values(&self, namespace: &str) -> Result<BTreeMap<String, String>, Error> {
        let code = RequestCode::GET_KVLIST_BY_NAMESPACE;
        let request = request(code, &KvNamespace { namespace });
        let (address, answer) = self.client.names().ask(request).await?;
        match answer.header.response_code() {
            ResponseCode::SUCCESS => {}
            ResponseCode::QUERY_NOT_FOUND => return Ok(BTreeMap::new()),
            _ => return Err(refused(&address, code, &answer)),
        }
        let table: KvTable = body::decode(&answer.body).map_err(unreadable(&address, code))?;
        Ok(table.table.into_iter().collect())
    }
}

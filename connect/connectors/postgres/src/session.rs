//! One connection, every call on it bounded in time.

use std::time::Duration;

use connect_sdk::{Context, Error, Options};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};

use crate::error::error;
use crate::options::{address, timeout};

/// A connection. Dropping it ends whatever transaction is open.
pub(crate) struct Session {
    client: Client,
    limit: Duration,
    context: Context,
}

impl Session {
    /// Connects and logs in.
    pub(crate) async fn open(options: &Options, context: &Context) -> Result<Self, Error> {
        let address = address(options)?;
        let limit = timeout(options);
        let host = &address.host;
        let reached = context
            .clock
            .timeout(limit, context.net.connect(host))
            .await;
        let stream = match reached {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(Error::transient(format!(
                    "PostgreSQL at {host} cannot be reached: {error}"
                )));
            }
            Err(_) => {
                return Err(Error::transient(format!(
                    "PostgreSQL at {host} did not answer within {limit:?}"
                )));
            }
        };
        let login = context
            .clock
            .timeout(limit, address.config.connect_raw(stream, NoTls))
            .await;
        let (client, connection) = match login {
            Ok(login) => {
                login.map_err(|why| error(&format!("logging in to PostgreSQL at {host}"), &why))?
            }
            Err(_) => {
                return Err(Error::transient(format!(
                    "PostgreSQL at {host} did not answer within {limit:?}"
                )));
            }
        };
        let name = format!("postgres {} {}", context.connector, context.task);
        drop(context.tasks.spawn(name, async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        }));
        Ok(Self {
            client,
            limit,
            context: context.clone(),
        })
    }

    pub(crate) async fn run(&self, doing: &str, sql: &str) -> Result<(), Error> {
        self.within(doing, self.client.batch_execute(sql))
            .await?
            .map_err(|why| error(doing, &why))
    }

    pub(crate) async fn prepare(&self, doing: &str, sql: &str) -> Result<Statement, Error> {
        self.within(doing, self.client.prepare(sql))
            .await?
            .map_err(|why| error(doing, &why))
    }

    pub(crate) async fn query(
        &self,
        doing: &str,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        self.within(doing, self.client.query(sql, values))
            .await?
            .map_err(|why| error(doing, &why))
    }

    /// Runs a statement whose failure may be the rows' own: PostgreSQL's error comes back as it
    /// is.
    pub(crate) async fn execute(
        &self,
        doing: &str,
        statement: &Statement,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Result<u64, tokio_postgres::Error>, Error> {
        self.within(doing, self.client.execute(statement, values))
            .await
    }

    async fn within<T>(&self, doing: &str, work: impl Future<Output = T>) -> Result<T, Error> {
        let limit = self.limit;
        self.context.clock.timeout(limit, work).await.map_err(|_| {
            Error::transient(format!(
                "{doing}: no answer within {limit:?}; it may have happened"
            ))
        })
    }
}

//! The result in PostgreSQL: looked at before the run, read back for the proof.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;
use tokio_postgres::NoTls;

use super::OUTPUT_TOPIC;
use crate::failure::{Exit, Failure};

/// Where the sink keeps how far it is, beside the table of results.
pub const OFFSETS: &str = "airport_delays_offsets";

/// Between two attempts to read it back.
const PAUSE: Duration = Duration::from_millis(200);

/// The table of results in the database at a URL.
pub struct Table<'a> {
    url: &'a str,
}

impl Table<'_> {
    pub fn at(url: &str) -> Table<'_> {
        Table { url }
    }

    /// Fails if an earlier run has left rows here: they would be taken for this run's.
    pub async fn must_be_new(&self) -> Result<()> {
        for table in [OUTPUT_TOPIC, OFFSETS] {
            let known = self
                .ask(&format!(
                    "SELECT 'x' WHERE to_regclass('{table}') IS NOT NULL"
                ))
                .await?;
            if known.is_empty() {
                continue;
            }
            let used = self
                .ask(&format!("SELECT 'x' FROM {table} LIMIT 1"))
                .await?;
            if !used.is_empty() {
                bail!(
                    Failure::new(
                        Exit::Conflict,
                        "demo.table",
                        format!("table {table} already holds rows")
                    )
                    .why("a demo with new data writes into a new table, so that it can prove what came")
                    .fix(format!(
                        "drop what the earlier run made:  DROP TABLE IF EXISTS {OUTPUT_TOPIC}, {OFFSETS}\n\
                         or go on where that run was, with its folder:  --data DIR"
                    ))
                );
            }
        }
        Ok(())
    }

    /// Every row as a JSON object. Waits so long at most for a PostgreSQL that is away just now.
    pub async fn rows(&self, retry: Duration) -> Result<Vec<Bytes>> {
        let query = format!("SELECT row_to_json(result)::text FROM {OUTPUT_TOPIC} AS result");
        let begun = Instant::now();
        loop {
            match self.ask(&query).await {
                Ok(rows) => return Ok(rows.into_iter().map(Bytes::from).collect()),
                Err(why) if begun.elapsed() >= retry => return Err(why),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// The first column of what a query answers, over a connection of its own.
    async fn ask(&self, sql: &str) -> Result<Vec<String>> {
        let (client, connection) = tokio_postgres::connect(self.url, NoTls)
            .await
            .map_err(|why| failed(&why))?;
        let rows = tokio::select! {
            rows = client.query(sql, &[]) => rows,
            // It ends first only if it breaks; the query then knows why.
            Err(why) = connection => Err(why),
        };
        Ok(rows
            .map_err(|why| failed(&why))?
            .iter()
            .map(|row| row.get(0))
            .collect())
    }
}

/// The error with its causes: PostgreSQL's own words are not in the outermost.
fn failed(why: &tokio_postgres::Error) -> Failure {
    let causes = std::iter::successors(Some(why as &dyn std::error::Error), |why| why.source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    Failure::new(
        Exit::Unreachable,
        "demo.postgres",
        "PostgreSQL does not answer as it should",
    )
    .why(causes.join(": "))
    .fix("look at the address given with --postgres:  postgres://user:password@host:5432/database")
}

//! Rows into a table, and the position behind them into another, in one transaction.
//!
//! Each queue has a row in the offsets table. A flush moves it from where this task found it,
//! and only by the task that found it: a forgotten connection that commits late, or an older
//! owner, makes the move fail and nothing of this transaction appears. So what is in the table
//! is exactly what lies before the offsets, whatever was killed.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use connect_sdk::{
    Connector, Context, Description, Error, ErrorKind, Finding, Guarantee, Kind, Object, Options,
    Positions, Records, Refused, Sink, SinkBatch, Takes, TaskOptions,
};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use crate::error::{error, kind, refusal};
use crate::options::{address, options};
use crate::session::Session;
use crate::statement::Write;
use crate::table::{Table, is_writable, missing, quoted};
use crate::types::texts;

/// Writes into a PostgreSQL table, inserting or upserting, each record exactly once.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostgresSink;

#[async_trait]
impl Connector for PostgresSink {
    fn describe(&self) -> Description {
        Description {
            name: "postgres-sink",
            family: "postgres",
            aliases: &[],
            kind: Kind::Sink,
            version: env!("CARGO_PKG_VERSION"),
            summary: "Writes into a PostgreSQL table, inserting or upserting, each record exactly once.",
            guarantee: Guarantee::ExactlyOnce,
            options: options(),
        }
    }

    fn check(&self, options: &Options) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Err(error) = address(options) {
            findings.push(finding("url", &error));
        }
        let schema = options.columns("schema");
        if options.boolean("table.create") && schema.is_none() {
            findings.push(
                Finding::error(
                    "connector.option.missing",
                    "schema",
                    "table.create needs to know the columns",
                )
                .with_hint("set schema, as in schema = \"id BIGINT, name STRING\""),
            );
        }
        if options.boolean("table.create")
            && options.text("mode") == Some("upsert")
            && options.list("key").is_empty()
        {
            findings.push(
                Finding::error(
                    "connector.option.missing",
                    "key",
                    "a table made for mode upsert needs a key",
                )
                .with_hint("set key to the columns that tell rows apart"),
            );
        }
        if options.is_given("key") && options.text("mode") != Some("upsert") {
            findings.push(Finding::warning(
                "connector.option.unused",
                "key",
                "key has a meaning in mode upsert only",
            ));
        }
        for name in schema.iter().flat_map(|schema| {
            options
                .list("key")
                .into_iter()
                .filter(|name| schema.index_of(name).is_err())
        }) {
            findings.push(Finding::error(
                "connector.key",
                "key",
                format!("schema has no column \"{name}\""),
            ));
        }
        findings
    }

    async fn probe(&self, options: &Options, context: &Context) -> Vec<Finding> {
        if address(options).is_err() {
            // `check` says so.
            return Vec::new();
        }
        match look(options, context).await {
            Ok(()) => Vec::new(),
            Err(error) if error.kind() == ErrorKind::Transient => {
                vec![
                    Finding::warning("connector.postgres.unreachable", "url", error.to_string())
                        .with_hint("records wait in the topic until it answers"),
                ]
            }
            Err(error) if error.kind() == ErrorKind::Auth => vec![finding("url", &error)],
            Err(error) => vec![finding("table", &error)],
        }
    }

    fn check_position(
        &self,
        options: &Options,
        _: &Object,
        _: Option<&Object>,
    ) -> Result<(), String> {
        let table = options.text("offsets.table").unwrap_or_default();
        Err(format!(
            "the table {table} in the database says how far it is, together with the rows: change next_offset there"
        ))
    }

    async fn sink(&self, task: TaskOptions, context: Context) -> Result<Box<dyn Sink>, Error> {
        let options = task.options;
        let session = Session::open(&options, &context).await?;
        let table = Table::open(&session, &options).await?;
        let offsets = quoted(
            options
                .text("offsets.table")
                .unwrap_or("millstream_offsets"),
        );
        session
            .run(
                "making the offsets table",
                &format!(
                    "CREATE TABLE IF NOT EXISTS {offsets} (connector text, topic text, queue integer, next_offset bigint NOT NULL, \
                     generation bigint NOT NULL, updated timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (connector, topic, queue))"
                ),
            )
            .await?;
        let schema = options.columns("schema").unwrap_or_else(|| table.schema());
        let key = table.key(&options)?;
        let write = Write::new(&table, &schema, key.as_deref())?;
        let insert = session.prepare("preparing to write", &write.sql).await?;
        let advance = session
            .prepare("preparing to move the position", &advance(&offsets))
            .await?;
        Ok(Box::new(Rows {
            limit: options
                .integer("batch.rows")
                .and_then(|rows| usize::try_from(rows).ok())
                .unwrap_or(1_000),
            session,
            table,
            offsets,
            schema,
            write,
            insert,
            advance,
            known: Positions::new(),
            written: BTreeMap::new(),
            in_transaction: false,
            context,
        }))
    }
}

/// Everything that would fail later, seen now. Changes nothing.
async fn look(options: &Options, context: &Context) -> Result<(), Error> {
    let session = Session::open(options, context).await?;
    let Some(table) = Table::find(&session, options).await? else {
        return if options.boolean("table.create") {
            Ok(())
        } else {
            Err(missing(options))
        };
    };
    let schema = options.columns("schema").unwrap_or_else(|| table.schema());
    if let Some(field) = schema
        .fields()
        .iter()
        .find(|field| !is_writable(field.data_type()))
    {
        return Err(Error::config(
            format!("column \"{}\" cannot be written", field.name()),
            "choose another type in schema",
        ));
    }
    let key = table.key(options)?;
    let lacks = |name: &String| schema.index_of(name).is_err();
    if options.columns("schema").is_some() && options.list("key").iter().any(lacks) {
        // `check` says so, and there is no statement to try.
        return Ok(());
    }
    let write = Write::new(&table, &schema, key.as_deref())?;
    let privileges: &str = if key.is_some() {
        "INSERT, UPDATE"
    } else {
        "INSERT"
    };
    for privilege in privileges.split(", ") {
        let sql = "SELECT has_table_privilege(to_regclass($1), $2)";
        let rows = session
            .query("looking at privileges", sql, &[&table.name, &privilege])
            .await?;
        if !rows.first().is_some_and(|row| row.get::<_, bool>(0)) {
            return Err(Error::auth(
                format!("the user may not {privilege} in table {}", table.name),
                format!("GRANT {privilege} ON {} TO that user", table.name),
            ));
        }
    }
    // Planned and not run: a key without a unique index is only found here.
    let nothing: Vec<Option<&str>> = Vec::new();
    let values: Vec<&(dyn ToSql + Sync)> = schema.fields().iter().map(|_| &nothing as _).collect();
    let explain = format!("EXPLAIN {}", write.sql);
    session
        .query("trying out the statement", &explain, &values)
        .await
        .map(drop)
}

/// Moves a queue's position from where it was found, by nobody older than whoever wrote it.
fn advance(offsets: &str) -> String {
    format!(
        "INSERT INTO {offsets} AS kept (connector, topic, queue, next_offset, generation) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (connector, topic, queue) DO UPDATE SET next_offset = EXCLUDED.next_offset, generation = EXCLUDED.generation, updated = now() \
         WHERE kept.next_offset = $6 AND kept.generation <= EXCLUDED.generation"
    )
}

/// One task's connection and what it has written since the last commit.
struct Rows {
    session: Session,
    table: Table,
    offsets: String,
    schema: SchemaRef,
    write: Write,
    insert: Statement,
    advance: Statement,
    /// The most rows of one statement.
    limit: usize,
    /// The positions in the offsets table, as far as this task knows them.
    known: Positions,
    /// How far each queue was written in the open transaction.
    written: BTreeMap<(String, u32), u64>,
    in_transaction: bool,
    context: Context,
}

#[async_trait]
impl Sink for Rows {
    fn takes(&self) -> Takes {
        Takes::Columns(Some(self.schema.clone()))
    }

    async fn write(&mut self, batch: SinkBatch) -> Result<Vec<Refused>, Error> {
        let Records::Columns(rows) = &batch.records else {
            return Err(Error::config("rows are needed, not bytes", "set schema"));
        };
        if !self.in_transaction {
            // Constraints that wait for the commit would fail there, with no row to blame.
            self.session
                .run(
                    "beginning a transaction",
                    "BEGIN; SET CONSTRAINTS ALL IMMEDIATE",
                )
                .await?;
            self.in_transaction = true;
        }
        let refused = self.insert(rows).await?;
        self.written.insert((batch.topic, batch.queue), batch.next);
        Ok(refused)
    }

    async fn flush(&mut self) -> Result<Positions, Error> {
        let mut positions = Positions::new();
        if !self.in_transaction {
            return Ok(positions);
        }
        let generation = i64::try_from(self.context.generation).unwrap_or(i64::MAX);
        for ((topic, queue), next) in std::mem::take(&mut self.written) {
            let found = self.known.queue(&topic, queue).map_or(-1, signed);
            let number = i32::try_from(queue).unwrap_or(i32::MAX);
            let values: [&(dyn ToSql + Sync); 6] = [
                &self.context.connector,
                &topic,
                &number,
                &signed(next),
                &generation,
                &found,
            ];
            let doing = "moving the position";
            let moved = self
                .session
                .execute(doing, &self.advance, &values)
                .await?
                .map_err(|why| error(doing, &why))?;
            if moved != 1 {
                return Err(self.lost(&topic, queue).await);
            }
            positions.set_queue(&topic, queue, next);
        }
        self.session.run("committing", "COMMIT").await?;
        self.in_transaction = false;
        self.known.merge(&positions);
        Ok(positions)
    }

    async fn position(&mut self) -> Result<Option<Positions>, Error> {
        let sql = format!(
            "SELECT topic, queue, next_offset FROM {} WHERE connector = $1",
            self.offsets
        );
        let rows = self
            .session
            .query("reading the positions", &sql, &[&self.context.connector])
            .await?;
        let mut positions = Positions::new();
        for row in rows {
            let (topic, queue, next): (String, i32, i64) = (row.get(0), row.get(1), row.get(2));
            positions.set_queue(&topic, queue.unsigned_abs(), next.unsigned_abs());
        }
        self.known = positions.clone();
        Ok(Some(positions))
    }
}

impl Rows {
    /// Inserts rows, finding those the table does not want by halving what fails.
    async fn insert(&self, rows: &RecordBatch) -> Result<Vec<Refused>, Error> {
        let columns = rows
            .columns()
            .iter()
            .map(texts)
            .collect::<Result<Vec<_>, _>>()?;
        let mut refused = Vec::new();
        // Later parts lie below earlier ones, so rows are written in their order.
        let mut parts: Vec<(usize, usize)> = (0..rows.num_rows())
            .step_by(self.limit)
            .map(|from| (from, (from + self.limit).min(rows.num_rows())))
            .rev()
            .collect();
        while let Some((from, to)) = parts.pop() {
            let Some(why) = self.try_rows(&columns, from, to).await? else {
                continue;
            };
            if to - from == 1 {
                refused.push(Refused { row: from, why });
                continue;
            }
            let middle = from + (to - from) / 2;
            parts.push((middle, to));
            parts.push((from, middle));
        }
        Ok(refused)
    }

    /// Writes some rows, all or none. Returns why, if the table did not want one of them.
    async fn try_rows(
        &self,
        columns: &[Vec<Option<String>>],
        from: usize,
        to: usize,
    ) -> Result<Option<String>, Error> {
        let chosen = self.write.rows(columns, from, to);
        let arrays: Vec<Vec<Option<&str>>> = columns
            .iter()
            .map(|column| chosen.iter().map(|row| column[*row].as_deref()).collect())
            .collect();
        let values: Vec<&(dyn ToSql + Sync)> = arrays
            .iter()
            .map(|array| array as &(dyn ToSql + Sync))
            .collect();
        let doing = format!("writing to table {}", self.table.name);
        self.session.run(&doing, "SAVEPOINT rows").await?;
        match self.session.execute(&doing, &self.insert, &values).await? {
            Ok(_) => {
                self.session.run(&doing, "RELEASE rows").await?;
                Ok(None)
            }
            Err(why)
                if why
                    .code()
                    .is_some_and(|state| kind(state) == ErrorKind::Poison) =>
            {
                self.session
                    .run(&doing, "ROLLBACK TO rows; RELEASE rows")
                    .await?;
                Ok(Some(refusal(&why)))
            }
            Err(why) => Err(error(&doing, &why)),
        }
    }

    /// Why the position could not be moved: somebody newer has it, or an earlier connection of
    /// ours committed after all.
    async fn lost(&self, topic: &str, queue: u32) -> Error {
        let sql = format!(
            "SELECT generation FROM {} WHERE connector = $1 AND topic = $2 AND queue = $3",
            self.offsets
        );
        let number = i32::try_from(queue).unwrap_or(i32::MAX);
        let found = self
            .session
            .query(
                "reading the positions",
                &sql,
                &[&self.context.connector, &topic, &number],
            )
            .await;
        let newest = found
            .ok()
            .and_then(|rows| rows.first().map(|row| row.get::<_, i64>(0)));
        let ours = i64::try_from(self.context.generation).unwrap_or(i64::MAX);
        match newest {
            Some(generation) if generation > ours => Error::fenced(format!(
                "generation {generation} of this connector writes queue {queue} of {topic} now"
            )),
            _ => Error::transient(format!(
                "the position of queue {queue} of {topic} was moved by an earlier connection"
            )),
        }
    }
}

fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

fn finding(path: &str, error: &Error) -> Finding {
    let finding = Finding::error("connector.postgres", path, error.to_string());
    match error.hint() {
        Some(hint) => finding.with_hint(hint),
        None => finding,
    }
}

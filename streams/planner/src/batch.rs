//! The same script once over whole tables, by DataFusion alone: the oracle for streaming runs.
//!
//! Windows become arithmetic on timestamps and lookups ordinary joins; nothing of the
//! dataflow or of the operators takes part. What `INSERT` writes comes back as batches.

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions},
    compute::cast,
    datatypes::{Schema, SchemaRef},
};
use dataflow::ColumnKind;
use datafusion::{
    common::{
        DataFusionError,
        tree_node::{Transformed, TreeNode},
    },
    datasource::{MemTable, provider_as_source},
    execution::SessionStateBuilder,
    logical_expr::{LogicalPlan, LogicalPlanBuilder, TableScan},
    prelude::{DataFrame, SessionConfig, SessionContext, col},
};
use std::{collections::HashMap, sync::Arc};

use crate::{
    catalog::{Scanned, Table},
    error::Errors,
    functions::Functions,
    plan::{Environment, Planning},
    query::analyze,
    relations::Mode,
    scope::options,
};

/// Why a script could not be run over whole tables.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Script(#[from] Errors),
    #[error("the script has no INSERT INTO {0}")]
    NoInsert(String),
    #[error("no rows were given for table {0}")]
    NoRows(String),
    #[error("the rows given for table {table} have no column {column}")]
    NoColumn { table: String, column: String },
    #[error("the batch failed: {0}")]
    Execution(#[from] DataFusionError),
}

/// Rows per table name. Columns are found by name; every physical and metadata column that the
/// table declares must be there, of its type or one that can be cast to it.
pub type Tables = HashMap<String, Vec<RecordBatch>>;

/// Runs the query of `INSERT INTO insert` over these tables. The result has the columns that
/// the insert writes. Clock functions return `time_ms`, milliseconds since 1970.
pub async fn run(
    script: &str,
    insert: &str,
    tables: &Tables,
    environment: &Environment,
    time_ms: i64,
) -> Result<Vec<RecordBatch>, Error> {
    let planning = Planning::read(script, environment, Mode::Batch);
    if planning.has_failed() {
        return Err(Errors::new(planning.errors, script).into());
    }
    let found = planning
        .inserts
        .into_iter()
        .find(|planned| planned.table == insert);
    let planned = found.ok_or_else(|| Error::NoInsert(insert.to_owned()))?;
    planning.functions.time().set(time_ms);
    let context = context(&planning.functions);
    let mut sources = HashMap::new();
    for table in planning.catalog.tables.values() {
        if reads(&planned.output.plan, &table.spec.name)? {
            sources.insert(
                table.spec.name.clone(),
                source(table, tables, &context).await?,
            );
        }
    }
    let bound = planned.output.plan.transform_up(|node| match node {
        LogicalPlan::TableScan(scan) => bind(scan, &sources).map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })?;
    let plan = bound
        .data
        .transform_up(|node| node.recompute_schema().map(Transformed::yes))?
        .data;
    Ok(DataFrame::new(context.state(), analyze(plan)?)
        .collect()
        .await?)
}

fn context(functions: &Functions) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    *config.options_mut() = options();
    let state = SessionStateBuilder::new_with_default_features()
        .with_config(config)
        .with_scalar_functions(functions.scalars().cloned().collect())
        .with_aggregate_functions(functions.aggregates().cloned().collect())
        .build();
    SessionContext::new_with_state(state)
}

fn reads(plan: &LogicalPlan, table: &str) -> Result<bool, DataFusionError> {
    plan.exists(|node| {
        Ok(match node {
            LogicalPlan::TableScan(scan) => {
                Scanned::of(&scan.source).is_some_and(|scanned| scanned.table.spec.name == table)
            }
            _ => false,
        })
    })
}

fn bind(
    scan: TableScan,
    sources: &HashMap<String, Arc<MemTable>>,
) -> Result<LogicalPlan, DataFusionError> {
    let name = Scanned::of(&scan.source)
        .map(|scanned| scanned.table.spec.name.clone())
        .unwrap_or_default();
    match sources.get(&name) {
        Some(table) => {
            let provider = provider_as_source(Arc::clone(table) as _);
            LogicalPlanBuilder::scan(scan.table_name, provider, scan.projection)?.build()
        }
        None => Ok(LogicalPlan::TableScan(scan)),
    }
}

/// The table's rows in memory, computed columns included.
async fn source(
    table: &Table,
    tables: &Tables,
    context: &SessionContext,
) -> Result<Arc<MemTable>, Error> {
    let spec = &table.spec;
    let given = tables
        .get(&spec.name)
        .ok_or_else(|| Error::NoRows(spec.name.clone()))?;
    let read: Vec<_> = spec
        .columns
        .iter()
        .filter(|column| !matches!(column.kind, ColumnKind::Computed(_)))
        .collect();
    let plain: SchemaRef = Arc::new(Schema::new(
        read.iter().map(|column| column.field()).collect::<Vec<_>>(),
    ));
    let mut rows = Vec::new();
    for batch in given {
        let mut columns: Vec<ArrayRef> = Vec::new();
        for column in &read {
            let found = batch.column_by_name(&column.name);
            let found = found.ok_or_else(|| Error::NoColumn {
                table: spec.name.clone(),
                column: column.name.clone(),
            })?;
            columns.push(cast(found, &column.data_type).map_err(DataFusionError::from)?);
        }
        let size = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        rows.push(
            RecordBatch::try_new_with_options(Arc::clone(&plain), columns, &size)
                .map_err(DataFusionError::from)?,
        );
    }
    if table.computed.is_empty() {
        return Ok(Arc::new(MemTable::try_new(plain, vec![rows])?));
    }
    let frame = context.read_table(Arc::new(MemTable::try_new(plain, vec![rows])?))?;
    let all = spec.columns.iter().enumerate().map(|(position, column)| {
        match table.computed.get(&position) {
            Some(expression) => expression.clone().alias(&column.name),
            None => col(datafusion::common::Column::new_unqualified(&column.name)),
        }
    });
    let computed = frame.select(all.collect::<Vec<_>>())?.collect().await?;
    let schema = spec.schema();
    let typed = computed.into_iter().map(|batch| {
        let columns = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .map(|(column, field)| cast(column, field.data_type()));
        RecordBatch::try_new(Arc::clone(&schema), columns.collect::<Result<Vec<_>, _>>()?)
    });
    let typed = typed
        .collect::<Result<Vec<_>, _>>()
        .map_err(DataFusionError::from)?;
    Ok(Arc::new(MemTable::try_new(schema, vec![typed])?))
}

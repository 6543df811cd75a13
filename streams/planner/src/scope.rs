//! What the SQL planner may see while it plans a query: our tables, functions and types.

use arrow::datatypes::DataType;
use datafusion::{
    common::{
        DFSchema, DataFusionError, Result, ScalarValue, TableReference, config::ConfigOptions,
        plan_err,
    },
    execution::SessionStateDefaults,
    logical_expr::{
        AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF, cast,
        planner::{ContextProvider, ExprPlanner, PlannerResult, RelationPlanner, TypePlanner},
    },
    sql::planner::{ParserOptions, SqlToRel},
};
use sqlparser::ast::{self, Query, Statement};
use std::sync::Arc;

use crate::{catalog::Catalog, functions::Functions, relations::FlinkRelations, types::FlinkTypes};

/// The planner's view of a script while one of its queries is planned.
pub(crate) struct Scope<'a> {
    catalog: &'a Catalog,
    functions: &'a Functions,
    options: ConfigOptions,
    expressions: Vec<Arc<dyn ExprPlanner>>,
    relations: Vec<Arc<dyn RelationPlanner>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(
        catalog: &'a Catalog,
        functions: &'a Functions,
        relations: FlinkRelations,
    ) -> Self {
        let mut expressions: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(WideExtract)];
        expressions.extend(SessionStateDefaults::default_expr_planners());
        Self {
            catalog,
            functions,
            options: options(),
            expressions,
            relations: vec![Arc::new(relations)],
        }
    }

    /// Plans a query that has been checked.
    pub(crate) fn query(&self, query: Query) -> Result<LogicalPlan> {
        self.planner()
            .sql_statement_to_plan(Statement::Query(Box::new(query)))
    }

    /// Plans an expression over these columns.
    pub(crate) fn expression(&self, expression: ast::Expr, columns: &DFSchema) -> Result<Expr> {
        self.planner()
            .sql_to_expr(expression, columns, &mut Default::default())
    }

    fn planner(&self) -> SqlToRel<'_, Self> {
        let options = ParserOptions::new()
            .with_parse_float_as_decimal(true)
            .with_enable_ident_normalization(false)
            .with_map_string_types_to_utf8view(false)
            .with_collect_spans(true);
        SqlToRel::new_with_options(self, options)
    }
}

/// The settings under which every plan is made and run.
pub(crate) fn options() -> ConfigOptions {
    let mut options = ConfigOptions::new();
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.target_partitions = 1;
    options.optimizer.skip_failed_rules = false;
    options
}

impl ContextProvider for Scope<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        self.catalog.source(&name)
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expressions
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relations
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::new(FlinkTypes))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.functions.scalar(name)
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.functions.aggregate(name)
    }

    fn get_window_meta(&self, _: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        self.functions.names().map(str::to_owned).collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.functions
            .aggregates()
            .map(|function| function.name().to_owned())
            .collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// `EXTRACT` gives a `BIGINT`, as in Flink.
#[derive(Debug)]
struct WideExtract;

impl ExprPlanner for WideExtract {
    fn plan_extract(&self, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        let part = match arguments.first() {
            Some(Expr::Literal(ScalarValue::Utf8(Some(part)), _)) => part.clone(),
            other => return plan_err!("EXTRACT of {other:?} is not supported"),
        };
        let date_part = datafusion::functions::datetime::date_part();
        let [_, from] = <[Expr; 2]>::try_from(arguments)
            .map_err(|_| DataFusionError::Plan("EXTRACT has two arguments".to_owned()))?;
        let call = date_part.call(vec![
            Expr::Literal(ScalarValue::Utf8(Some(part)), None),
            from,
        ]);
        Ok(PlannerResult::Planned(cast(call, DataType::Int64)))
    }
}

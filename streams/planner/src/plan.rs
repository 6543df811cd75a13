//! A whole script: its statements in order, and the dataflow of all its outputs.

use dataflow::{Dataflow, TableSpec};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use plugin_host::Signature;
use std::{collections::BTreeSet, sync::Arc};

use crate::{
    build::{Output, Target, build},
    catalog::{Catalog, View},
    connectors::Connectors,
    cursor::Name,
    declare,
    depth::is_too_large,
    error::{Error, Errors, Place},
    functions::{FunctionLoader, Functions, NoFunctions, user_function},
    insert,
    query::{self, optimize, planning_error},
    relations::Mode,
    settings::JobSettings,
    statements::{self, CreateFunction, CreateView, Explained, Insert, Statement},
    supported::unknown_table,
    types::arrow_type,
};

/// What planning needs from outside the script.
#[derive(Clone)]
pub struct Environment {
    /// Name of the job, unless the script sets `pipeline.name`.
    pub job: String,
    /// Where functions come from.
    pub functions: Arc<dyn FunctionLoader>,
    /// Which connectors tables may name.
    pub connectors: Connectors,
}

impl Environment {
    /// The connectors built into the planner, and no functions.
    pub fn new(job: impl Into<String>) -> Self {
        Self {
            job: job.into(),
            functions: Arc::new(NoFunctions),
            connectors: Connectors::default(),
        }
    }

    pub fn with_functions(mut self, functions: Arc<dyn FunctionLoader>) -> Self {
        self.functions = functions;
        self
    }
}

/// A script, planned.
pub struct Plan {
    /// Everything that the script's `INSERT` statements do. Without one it has no nodes.
    pub dataflow: Dataflow,
    /// What decodes the dataflow's expressions.
    pub functions: Functions,
    /// Every table that the script declares, by name.
    pub tables: Vec<TableSpec>,
    /// What the script's `EXPLAIN` statements ask about, in order.
    pub explained: Vec<Dataflow>,
}

/// Plans a script. Everything wrong with it is reported at once.
pub fn plan(script: &str, environment: &Environment) -> Result<Plan, Errors> {
    let mut planning = Planning::read(script, environment, Mode::Stream);
    let mut job = environment.job.clone();
    if let Some(name) = planning.settings.name() {
        job = name.to_owned();
    }
    let inserts = std::mem::take(&mut planning.inserts);
    let outputs: Vec<Output> = inserts.into_iter().map(|insert| insert.output).collect();
    planning.check_materialized();
    let mut explained = Vec::new();
    let mut dataflow = Dataflow::new(&job);
    if planning.errors.is_empty() {
        match build(&job, &outputs, &environment.connectors) {
            Ok(built) => dataflow = built,
            Err(errors) => planning.errors.extend(errors),
        }
        for output in &planning.explained {
            match build(&job, std::slice::from_ref(output), &environment.connectors) {
                Ok(built) => explained.push(built),
                Err(errors) => planning.errors.extend(errors),
            }
        }
    }
    let Planning {
        catalog,
        functions,
        settings,
        errors,
        failed,
        ..
    } = planning;
    if !errors.is_empty() || failed {
        return Err(Errors::new(errors, script));
    }
    dataflow.policies = settings.policies(&job);
    dataflow.settings = settings.into_values();
    let tables = catalog
        .tables
        .values()
        .map(|table| table.spec.clone())
        .collect();
    Ok(Plan {
        dataflow,
        functions,
        tables,
        explained,
    })
}

/// A script while its statements are taken in.
pub(crate) struct Planning<'a> {
    environment: &'a Environment,
    mode: Mode,
    pub(crate) catalog: Catalog,
    pub(crate) functions: Functions,
    settings: JobSettings,
    pub(crate) inserts: Vec<PlannedInsert>,
    explained: Vec<Output>,
    pub(crate) errors: Vec<Error>,
    /// Something failed for a reason that was reported before.
    failed: bool,
    /// Materialized views that nothing has read yet.
    unread: Vec<Name>,
}

/// One `INSERT`, planned.
pub(crate) struct PlannedInsert {
    pub(crate) table: String,
    pub(crate) output: Output,
}

impl<'a> Planning<'a> {
    pub(crate) fn read(script: &str, environment: &'a Environment, mode: Mode) -> Self {
        let (statements, errors) = statements::parse(script);
        let mut planning = Self {
            environment,
            mode,
            catalog: Catalog::default(),
            functions: Functions::default(),
            settings: JobSettings::default(),
            inserts: Vec::new(),
            explained: Vec::new(),
            errors,
            failed: false,
            unread: Vec::new(),
        };
        for statement in statements {
            if let Err(errors) = planning.take(statement) {
                planning.failed |= errors.is_empty();
                planning.errors.extend(errors);
            }
        }
        planning
    }

    fn take(&mut self, statement: Statement) -> Result<(), Vec<Error>> {
        match statement {
            Statement::CreateTable(declared) => {
                let name = declared.name.clone();
                self.claim(&name)?;
                let table = declare::table(declared, &self.environment.connectors, &self.functions);
                let table = self.or_broken(&name, table)?;
                self.catalog.tables.insert(name.text, Arc::new(table));
                Ok(())
            }
            Statement::CreateView(view) => self.create_view(view),
            Statement::CreateFunction(function) => self.create_function(function),
            Statement::Insert(insert) => {
                let planned = self.insert(insert)?;
                self.inserts.push(planned);
                Ok(())
            }
            Statement::Set { key, value } => {
                self.settings.set(&key, &value).map_err(|error| vec![error])
            }
            Statement::Explain(Explained::Insert(insert)) => {
                let planned = self.insert(insert)?;
                self.explained.push(planned.output);
                Ok(())
            }
            Statement::Explain(Explained::Query(text)) => {
                let place = text.place;
                let plan = self.query(text)?;
                self.explained.push(Output {
                    plan,
                    target: None,
                    place,
                });
                Ok(())
            }
        }
    }

    fn claim(&self, name: &Name) -> Result<(), Vec<Error>> {
        let taken = self.catalog.tables.contains_key(&name.text)
            || self.catalog.views.contains_key(&name.text)
            || self.catalog.broken.contains(&name.text);
        match taken {
            true => Err(vec![Error::new(
                "sql.name.taken",
                name.place,
                format!("{} is a table or view already", name.text),
            )]),
            false => Ok(()),
        }
    }

    /// Remembers a name whose statement failed, so that its readers are not blamed.
    fn or_broken<T>(&mut self, name: &Name, made: Result<T, Vec<Error>>) -> Result<T, Vec<Error>> {
        if made.is_err() {
            self.catalog.broken.insert(name.text.clone());
        }
        made
    }

    fn create_view(&mut self, view: CreateView) -> Result<(), Vec<Error>> {
        let CreateView {
            name,
            columns,
            materialized,
            query: text,
        } = view;
        self.claim(&name)?;
        let place = text.place;
        let planned = self
            .unoptimized(text)
            .and_then(|plan| rename(plan, &columns, &name, place));
        let planned = planned.and_then(|plan| match is_too_large(&plan) {
            true => Err(vec![Error::new(
                "sql.depth",
                name.place,
                format!(
                    "view {} reads too many views and tables through one another",
                    name.text
                ),
            )]),
            false => Ok(plan),
        });
        let plan = self.or_broken(&name, planned)?;
        self.catalog.views.insert(name.text.clone(), View { plan });
        if materialized {
            self.unread.push(name);
        }
        Ok(())
    }

    fn create_function(&mut self, declared: CreateFunction) -> Result<(), Vec<Error>> {
        let mut errors = Vec::new();
        let mut typed = |(written, place)| {
            arrow_type(written)
                .map_err(|why| errors.push(Error::new("sql.type", place, why)))
                .ok()
        };
        let arguments: Vec<_> = declared
            .arguments
            .iter()
            .filter_map(|(_, written, place)| typed((written, *place)))
            .collect();
        let returns = typed((&declared.returns.0, declared.returns.1));
        let Some(returns) = returns.filter(|_| errors.is_empty()) else {
            return Err(errors);
        };
        let signature = Signature::new(declared.name.text.clone(), arguments, returns);
        let body = self
            .environment
            .functions
            .load(&signature, &declared.location.text)
            .map_err(|why| {
                vec![
                    Error::new(
                        "sql.function.load",
                        declared.location.place,
                        format!(
                            "function {} cannot be loaded from '{}'",
                            declared.name.text, declared.location.text
                        ),
                    )
                    .why(why),
                ]
            })?;
        match self.functions.add(user_function(
            signature,
            body,
            self.functions.time().clone(),
        )) {
            true => Ok(()),
            false => Err(vec![Error::new(
                "sql.name.taken",
                declared.name.place,
                format!("there is a function {} already", declared.name.text),
            )]),
        }
    }

    fn insert(&mut self, insert: Insert) -> Result<PlannedInsert, Vec<Error>> {
        let name = insert.table.text.clone();
        let place = insert.query.place;
        let Some(table) = self.catalog.tables.get(&name).cloned() else {
            if self.catalog.broken.contains(&name) {
                return Err(Vec::new());
            }
            if self.catalog.views.contains_key(&name) {
                return Err(vec![Error::new(
                    "sql.sink.view",
                    insert.table.place,
                    format!("{name} is a view, and only a table can be written"),
                )]);
            }
            return Err(vec![unknown_table(
                &name,
                insert.table.place,
                &self.catalog,
            )]);
        };
        let plan = self.unoptimized(insert.query)?;
        let fitted = insert::fit(plan, &table.spec, &insert.columns, place)?;
        let plan = self.lean(fitted, place)?;
        let target = Target {
            table,
            place: insert.table.place,
        };
        Ok(PlannedInsert {
            table: name,
            output: Output {
                plan,
                target: Some(target),
                place: insert.place,
            },
        })
    }

    fn query(&mut self, text: statements::QueryText) -> Result<LogicalPlan, Vec<Error>> {
        let place = text.place;
        let plan = self.unoptimized(text)?;
        self.lean(plan, place)
    }

    fn unoptimized(&mut self, text: statements::QueryText) -> Result<LogicalPlan, Vec<Error>> {
        let mut read = BTreeSet::new();
        read_names(&text, &mut read);
        self.unread.retain(|view| !read.contains(&view.text));
        query::plan(text, self.mode, &self.catalog, &self.functions)
    }

    /// A batch keeps its plan as it is: the executor has rules of its own.
    fn lean(&self, plan: LogicalPlan, place: Place) -> Result<LogicalPlan, Vec<Error>> {
        match self.mode {
            Mode::Stream => optimize(plan).map_err(|error| vec![planning_error(&error, place)]),
            Mode::Batch => Ok(plan),
        }
    }

    fn check_materialized(&mut self) {
        for view in std::mem::take(&mut self.unread) {
            let what = format!(
                "the materialized view {}, which no statement of the script reads,",
                view.text
            );
            self.errors.push(
                Error::unsupported(view.place, what)
                    .why("views cannot be read from outside the job")
                    .hint(format!("INSERT INTO a table SELECT * FROM {}", view.text)),
            );
        }
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed || !self.errors.is_empty()
    }
}

fn read_names(text: &statements::QueryText, names: &mut BTreeSet<String>) {
    let visited = sqlparser::ast::visit_relations(&text.query, |relation| {
        names.insert(relation.to_string().trim_matches('`').to_owned());
        std::ops::ControlFlow::<()>::Continue(())
    });
    debug_assert!(visited.is_continue());
    let window_tables = sqlparser::ast::visit_expressions(&text.query, |expression| {
        if let sqlparser::ast::Expr::Identifier(identifier) = expression {
            names.insert(identifier.value.clone());
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
    debug_assert!(window_tables.is_continue());
}

/// The view's columns under the names listed behind its own.
fn rename(
    plan: LogicalPlan,
    columns: &[Name],
    view: &Name,
    place: Place,
) -> Result<LogicalPlan, Vec<Error>> {
    if columns.is_empty() {
        return Ok(plan);
    }
    let width = plan.schema().fields().len();
    if columns.len() != width {
        let message = format!(
            "view {} lists {} columns, its query has {width}",
            view.text,
            columns.len()
        );
        return Err(vec![Error::new("sql.view.columns", view.place, message)]);
    }
    let renamed = plan.schema().columns().into_iter().zip(columns);
    let renamed: Vec<_> = renamed
        .map(|(column, name)| datafusion::logical_expr::Expr::Column(column).alias(&name.text))
        .collect();
    LogicalPlanBuilder::from(plan)
        .project(renamed)
        .and_then(LogicalPlanBuilder::build)
        .map_err(|error| vec![planning_error(&error, place)])
}

//! What a script has created so far: tables, views and functions, under one set of names.

use arrow::datatypes::SchemaRef;
use dataflow::TableSpec;
use datafusion::{
    common::{Result, TableReference, plan_err},
    datasource::TableType,
    logical_expr::{Expr, LogicalPlan, TableSource},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::{error::Place, roles::Role, supported::Relations};

/// A table as the script declares it, with what plans need to know beyond its description.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) spec: TableSpec,
    /// Expressions of computed columns over all other columns, by position.
    pub(crate) computed: HashMap<usize, Expr>,
    /// The watermark's expression over the table's columns.
    pub(crate) watermark: Option<Expr>,
    /// What is known of each column's time.
    pub(crate) roles: Vec<Role>,
    /// Where the primary key is declared, if there is one.
    pub(crate) key_place: Option<Place>,
}

/// A view: its plan, and whether something reads it.
pub(crate) struct View {
    pub(crate) plan: LogicalPlan,
}

/// Everything created so far.
#[derive(Default)]
pub(crate) struct Catalog {
    pub(crate) tables: BTreeMap<String, Arc<Table>>,
    pub(crate) views: BTreeMap<String, View>,
    /// Names whose statements failed.
    pub(crate) broken: BTreeSet<String>,
}

impl Relations for Catalog {
    fn knows(&self, name: &str) -> bool {
        self.tables.contains_key(name) || self.views.contains_key(name)
    }

    fn is_broken(&self, name: &str) -> bool {
        self.broken.contains(name)
    }

    fn names(&self) -> Vec<String> {
        self.tables
            .keys()
            .chain(self.views.keys())
            .cloned()
            .collect()
    }
}

impl Catalog {
    /// What the SQL planner scans under a name.
    pub(crate) fn source(&self, name: &TableReference) -> Result<Arc<dyn TableSource>> {
        if let Some(table) = self.tables.get(name.table()) {
            return Ok(Arc::new(Scanned {
                table: Arc::clone(table),
                schema: table.spec.schema(),
                lookup: false,
            }));
        }
        if let Some(view) = self.views.get(name.table()) {
            return Ok(Arc::new(Viewed(view.plan.clone())));
        }
        plan_err!("table '{name}' not found")
    }

    /// The table as the side of a lookup join that is looked up.
    pub(crate) fn lookup_source(&self, name: &str) -> Option<Arc<dyn TableSource>> {
        let table = self.tables.get(name)?;
        Some(Arc::new(Scanned {
            table: Arc::clone(table),
            schema: table.spec.schema(),
            lookup: true,
        }))
    }
}

/// A declared table inside a plan.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) table: Arc<Table>,
    schema: SchemaRef,
    /// Whether `FOR SYSTEM_TIME AS OF` stands behind the table's name.
    pub(crate) lookup: bool,
}

impl Scanned {
    /// The declared table behind a scan of ours.
    pub(crate) fn of(source: &Arc<dyn TableSource>) -> Option<&Self> {
        let source: &dyn std::any::Any = source.as_ref();
        source.downcast_ref()
    }
}

impl TableSource for Scanned {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }
}

struct Viewed(LogicalPlan);

impl TableSource for Viewed {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.0.schema().inner())
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.0))
    }
}

//! Every function that a job may call: the built-in ones that mean what Flink means, the
//! clock functions that read the epoch's time, and the user's own.

use datafusion::{
    execution::{SessionStateDefaults, TaskContext, runtime_env::RuntimeEnv},
    logical_expr::{AggregateUDF, ScalarUDF},
    prelude::SessionConfig,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

mod epoch_time;
mod user;

pub use epoch_time::EpochTime;
pub use user::{FunctionLoader, NoFunctions, ScalarBody, WasmFunctions};

pub(crate) use epoch_time::PROCTIME;
pub(crate) use user::user_function;

/// The functions of one job. Cheap to clone; clones share the epoch's time.
#[derive(Clone)]
pub struct Functions {
    scalars: BTreeMap<String, Arc<ScalarUDF>>,
    aggregates: BTreeMap<String, Arc<AggregateUDF>>,
    user: Vec<String>,
    time: EpochTime,
}

/// Scalar functions whose meaning is the same here and in Flink.
const SCALARS: &[&str] = &[
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "btrim",
    "ceil",
    "character_length",
    "coalesce",
    "concat_ws",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "floor",
    "initcap",
    "left",
    "ln",
    "log10",
    "log2",
    "lower",
    "lpad",
    "ltrim",
    "nullif",
    "pi",
    "power",
    "radians",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "sin",
    "sinh",
    "sqrt",
    "substr",
    "tan",
    "tanh",
    "trunc",
    "upper",
];

/// Scalar functions that the planner itself puts into plans; no script can name them.
const INTERNAL: &[&str] = &["date_bin", "date_part", "to_char", "strpos", "get_field"];

/// Other names for [`SCALARS`].
const ALIASES: &[(&str, &str)] = &[
    ("ceiling", "ceil"),
    ("char_length", "character_length"),
    ("pow", "power"),
    ("substring", "substr"),
    ("truncate", "trunc"),
];

/// Functions that the planner spells differently before the query is planned.
pub(crate) const RESPELLED: &[&str] = &[
    "concat",
    "ifnull",
    "mod",
    "year",
    "quarter",
    "month",
    "week",
    "dayofmonth",
    "hour",
    "minute",
    "second",
];

const AGGREGATES: &[&str] = &["count", "sum", "avg", "min", "max"];

impl Default for Functions {
    fn default() -> Self {
        let time = EpochTime::default();
        let kept = |name: &&str, known: &[&str]| known.contains(name);
        let mut scalars: BTreeMap<String, Arc<ScalarUDF>> =
            SessionStateDefaults::default_scalar_functions()
                .into_iter()
                .filter(|function| {
                    kept(&function.name(), SCALARS) || kept(&function.name(), INTERNAL)
                })
                .map(|function| (function.name().to_owned(), function))
                .collect();
        scalars.extend(
            epoch_time::functions(&time)
                .map(|function| (function.name().to_owned(), Arc::new(function))),
        );
        let aggregates = SessionStateDefaults::default_aggregate_functions()
            .into_iter()
            .filter(|function| kept(&function.name(), AGGREGATES))
            .map(|function| (function.name().to_owned(), function))
            .collect();
        Self {
            scalars,
            aggregates,
            user: Vec::new(),
            time,
        }
    }
}

impl Functions {
    /// The time that clock functions return until it is set again: the epoch's.
    pub fn time(&self) -> &EpochTime {
        &self.time
    }

    /// What decodes the expressions of a job's dataflow.
    pub fn task_context(&self) -> Arc<TaskContext> {
        let scalars: HashMap<_, _> = self.scalars.clone().into_iter().collect();
        let aggregates: HashMap<_, _> = self.aggregates.clone().into_iter().collect();
        Arc::new(TaskContext::new(
            None,
            "job".to_owned(),
            SessionConfig::new(),
            scalars.into_iter().collect(),
            Default::default(),
            aggregates.into_iter().collect(),
            Default::default(),
            Arc::new(RuntimeEnv::default()),
        ))
    }

    /// Adds a user's function. False if the name is taken.
    pub(crate) fn add(&mut self, function: ScalarUDF) -> bool {
        let name = function.name().to_owned();
        if self.names().any(|known| known == name) {
            return false;
        }
        self.user.push(name.clone());
        self.scalars.insert(name, Arc::new(function));
        true
    }

    /// A scalar function by any of its names, in lower case.
    pub(crate) fn scalar(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let name = ALIASES
            .iter()
            .find(|(alias, _)| *alias == name)
            .map_or(name, |(_, first)| *first);
        self.scalars.get(name).cloned()
    }

    pub(crate) fn aggregate(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(name).cloned()
    }

    pub(crate) fn scalars(&self) -> impl Iterator<Item = &Arc<ScalarUDF>> {
        self.scalars.values()
    }

    pub(crate) fn aggregates(&self) -> impl Iterator<Item = &Arc<AggregateUDF>> {
        self.aggregates.values()
    }

    /// Every name that a script may call, in lower case.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let scalars = self
            .scalars
            .keys()
            .map(String::as_str)
            .filter(|name| !INTERNAL.contains(name));
        let aliases = ALIASES.iter().map(|(alias, _)| *alias);
        let aggregates = self.aggregates.keys().map(String::as_str);
        scalars
            .chain(aliases)
            .chain(aggregates)
            .chain(RESPELLED.iter().copied())
    }
}

//! The house's budgets, measured from outside: processes, `/proc`, and RocketMQ's own tools.

mod contender;
mod demo;
mod produce;
mod sql;
mod start;

pub use contender::{build_millstream, target};
pub use demo::demo;
pub use produce::produce;
pub use sql::sql;
pub use start::start;

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

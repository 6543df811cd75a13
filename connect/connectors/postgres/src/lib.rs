//! PostgreSQL as a sink: rows and the position behind them in one transaction.

mod error;
mod options;
mod session;
mod sink;
mod statement;
mod table;
mod types;

pub use sink::PostgresSink;

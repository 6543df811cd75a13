//! RocketMQ's SQL92 message filter: the text a consumer sends, and whether a message passes it.
//!
//! It is a wire contract, not SQL: what RocketMQ's parser accepts is accepted here, what it
//! ignores is ignored, and a message passes here exactly if it passes there.

mod error;
mod evaluate;
mod expression;
mod filter;
mod lookup;
mod number;
mod parser;
mod token;

pub use error::ParseError;
pub use filter::Filter;
pub use lookup::PropertyLookup;

//! Rows made up from a seed: for trying out, for examples and for measuring.

mod generator;
mod source;

pub use source::DatagenSource;

//! What the operators promise, over whole dataflows.

mod harness;
mod lookup;
mod oracle;

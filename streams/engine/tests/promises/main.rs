//! What a running job promises.

#![allow(clippy::disallowed_methods)]

mod counts;
mod epoch_time;
mod exactly_once;
mod large_epochs;
mod stopping;
mod unusable;
mod world;

//! What the host promises: every type and language, every limit, every error.
//!
//! Functions are built from source; see `build` for what that installs and where it is kept.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod batches;
mod build;
mod cache;
mod columns;
mod documentation;
mod granted;
mod guests;
mod hostile_component;
mod hostile_core;
mod house;
mod languages;
mod loader;
mod stopping;

//! The store's cores beside models of a few lines that say what they have to do.

mod publishing;
mod recovering;

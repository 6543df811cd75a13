//! The workloads by their names, each a list of cells.

pub mod figures;
mod w1;
pub mod w10;
pub mod w11;
mod w2;
mod w3;
pub mod w4;
pub mod w5;
mod w6;

use crate::suite::{Cell, Options};

pub struct Workload {
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// The headlines, or every cell if the options say so.
    pub cells: fn(&Options) -> Vec<Cell>,
}

/// In the order of the page.
pub const ALL: &[Workload] = &[
    Workload {
        name: "W1",
        about: "single sends, and a pull of everything that was sent",
        cells: w1::cells,
    },
    Workload {
        name: "W2",
        about: "sends in batches, and a pull of everything that was sent",
        cells: w2::cells,
    },
    Workload {
        name: "W3",
        about: "a fixed rate, end to end",
        cells: w3::cells,
    },
    Workload {
        name: "W4",
        about: "a cold backlog read beside a fixed rate",
        cells: w4::cells,
    },
    Workload {
        name: "W5",
        about: "many queues",
        cells: w5::cells,
    },
    Workload {
        name: "W6",
        about: "filters over a backlog",
        cells: w6::cells,
    },
    Workload {
        name: "W10",
        about: "the start after a kill and after a clean stop",
        cells: w10::cells,
    },
    Workload {
        name: "W11",
        about: "what a server holds and uses",
        cells: w11::cells,
    },
];

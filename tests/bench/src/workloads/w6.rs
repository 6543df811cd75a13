//! W6: filters over a backlog of messages with sixteen properties.

use super::figures;
use crate::contender::Flush;
use crate::load::{Plan, Subscription};
use crate::suite::{Cell, Options, Work};

pub fn cells(options: &Options) -> Vec<Cell> {
    let plan = Plan {
        body: 100,
        properties: true,
        producers: 16,
        depth: 64,
        seconds: options.seconds,
        drain: vec![
            Subscription::All,
            Subscription::Tag(1),
            Subscription::Tag(10),
            Subscription::Tag(50),
            Subscription::Sql,
        ],
        ..Plan::default()
    };
    vec![Cell {
        name: "100 B and 16 properties".into(),
        flush: Flush::Async,
        work: Work::Load(Box::new(plan), figures::filters),
    }]
}

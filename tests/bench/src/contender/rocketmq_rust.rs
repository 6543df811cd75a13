//! mxsm's rocketmq-rust, the nearest rival: same toolchain, same protocol.

use anyhow::Result;
use peers::{Process, RocketMqRust};

use super::{Flush, Place};

pub fn names(place: &Place) -> Result<Process> {
    RocketMqRust::build()?.name_server(&place.folder, place.address)
}

pub fn broker(place: &Place) -> Result<Process> {
    RocketMqRust::build()?.broker(&place.folder, place.address, &settings(place.flush))
}

pub fn configuration(flush: Flush) -> String {
    format!("`{}`", settings(flush).join("`, `"))
}

/// Of both programs.
pub fn bytes() -> Result<u64> {
    RocketMqRust::build()?.bytes()
}

fn settings(flush: Flush) -> [&'static str; 2] {
    [
        // What SQL filters need, whoever asks.
        "broker.enablePropertyFilter = true",
        match flush {
            Flush::Async => "store.flushDiskType = \"ASYNC_FLUSH\"",
            Flush::Sync => "store.flushDiskType = \"SYNC_FLUSH\"",
        },
    ]
}

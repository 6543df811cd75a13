//! RocketMQ 5.5.0 from Maven Central, as it comes and tuned.

use anyhow::Result;
use peers::{Jars, Process, RocketMq};

use super::{Flavour, Flush, Place};

pub const VERSION: &str = "5.5.0";

/// What SQL filters need, whoever asks.
const NEEDED: &[&str] = &["enablePropertyFilter=true"];
/// What brings its best figures on a small machine.
const TUNED: &[&str] = &[
    "useEpollNativeSelector=true",
    "transferMsgByHeap=false",
    "sendMessageThreadPoolNums=4",
    "useReentrantLockWhenPutMessage=true",
];

pub fn names(place: &Place) -> Result<Process> {
    RocketMq::name_server(&Jars::rocketmq(VERSION)?, &place.folder, place.address)
}

pub fn broker(flavour: Flavour, place: &Place) -> Result<Process> {
    let jars = Jars::rocketmq(VERSION)?;
    let settings = settings(flavour, place.flush);
    RocketMq::broker(&jars, &place.folder, place.address, &settings)
}

pub fn configuration(flavour: Flavour, flush: Flush) -> String {
    let settings = settings(flavour, flush).join("`, `");
    format!("heap 2 GB, G1, touched at the start; `{settings}`")
}

/// Of all its jars.
pub fn bytes() -> Result<u64> {
    Jars::rocketmq(VERSION)?.bytes()
}

fn settings(flavour: Flavour, flush: Flush) -> Vec<&'static str> {
    let mut settings = NEEDED.to_vec();
    match flavour {
        Flavour::AsItComes => {}
        Flavour::Tuned => settings.extend(TUNED),
        Flavour::RocksDb => settings.push("storeType=defaultRocksDB"),
    }
    settings.push(match flush {
        Flush::Async => "flushDiskType=ASYNC_FLUSH",
        Flush::Sync => "flushDiskType=SYNC_FLUSH",
    });
    settings
}

//! mxsm's rocketmq-rust, the nearest rival: same toolchain, same protocol.

use std::process::Command;

use anyhow::Result;
use peers::Process;

use super::{Flush, Place};

const NAMES: &str = "rocketmq-namesrv-rust";
const BROKER: &str = "rocketmq-broker-rust";

pub fn names(place: &Place) -> Result<Process> {
    let mut command = command(NAMES, place)?;
    command.args(["--bindAddress", place.address, "--listenPort", "9876"]);
    let names = Process::start("rocketmq-rust's name server", &mut command)?;
    names.answers(&place.name_server())?;
    Ok(names)
}

pub fn broker(place: &Place) -> Result<Process> {
    let store = place.folder.join("store");
    let settings = format!(
        "[broker]\nlistenPort = 10911\nbrokerIp1 = \"{address}\"\nnamesrvAddr = \"{names}\"\n\
         storePathRootDir = \"{store}\"\nenablePropertyFilter = true\n\
         [broker.brokerServerConfig]\nbindAddress = \"{address}\"\n\
         [broker.brokerIdentity]\nbrokerName = \"broker-a\"\n\
         brokerClusterName = \"DefaultCluster\"\nbrokerId = 0\n\
         [store]\nstorePathRootDir = \"{store}\"\nflushDiskType = \"{flush}\"\n\
         haListenAddress = \"{address}\"\n",
        address = place.address,
        names = place.name_server(),
        store = store.display(),
        flush = flush_type(place.flush),
    );
    let path = place.folder.join("broker.toml");
    std::fs::write(&path, settings)?;
    let mut command = command(BROKER, place)?;
    command.args(["-n", &place.name_server(), "-c"]).arg(path);
    let broker = Process::start("rocketmq-rust's broker", &mut command)?;
    broker.answers(&place.broker())?;
    Ok(broker)
}

pub fn configuration(flush: Flush) -> String {
    format!("as it comes, `flushDiskType={}`", flush_type(flush))
}

/// Of both programs.
pub fn bytes() -> Result<u64> {
    let folder = peers::rocketmq_rust()?;
    let size = |name: &str| Ok::<_, anyhow::Error>(folder.join(name).metadata()?.len());
    Ok(size(NAMES)? + size(BROKER)?)
}

fn command(program: &str, place: &Place) -> Result<Command> {
    let mut command = Command::new(peers::rocketmq_rust()?.join(program));
    command
        .env("ROCKETMQ_HOME", &place.folder)
        .env("HOME", &place.folder)
        .current_dir(&place.folder);
    Ok(command)
}

fn flush_type(flush: Flush) -> &'static str {
    match flush {
        Flush::Async => "ASYNC_FLUSH",
        Flush::Sync => "SYNC_FLUSH",
    }
}

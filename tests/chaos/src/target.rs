//! The brokers that can stand trial, and how each is started.

use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Result, bail};
use peers::{Jars, Process, ROCKETMQ_RUST, RocketMq, RocketMqRust};

use crate::plan::Flush;

/// Small, so that trouble often meets the change from one segment to the next.
const SEGMENT_BYTES: u64 = 1 << 20;
const ROCKETMQ: &str = "5.5.0";
/// The file name of the broker without streams and connectors.
const BROKER_ALONE: &str = "broker";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The program itself, or the broker alone.
    Millstream(PathBuf),
    RocketMq,
    RocketMqRust,
}

/// Where a broker runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// Everything but the data: settings, logs.
    pub folder: PathBuf,
    /// A loopback address that nobody else uses.
    pub address: String,
    /// Where clients are told to find the broker, if not at its own address.
    pub advertised: Option<String>,
    /// Whether the oldest segments may go where there is no room: elsewhere a trial wants to find
    /// again what it sent.
    pub deletes: bool,
}

impl Place {
    /// What has to survive.
    pub fn data(&self) -> PathBuf {
        self.folder.join("store")
    }

    pub fn name_server(&self) -> String {
        format!("{}:9876", self.address)
    }

    pub fn broker(&self) -> String {
        format!("{}:10911", self.address)
    }
}

impl Target {
    pub fn name(&self) -> &'static str {
        match self {
            Target::Millstream(_) => "millstream",
            Target::RocketMq => "rocketmq",
            Target::RocketMqRust => "rocketmq-rust",
        }
    }

    pub fn is_ours(&self) -> bool {
        matches!(self, Target::Millstream(_))
    }

    /// Milliseconds within which asynchronous appends reach the disk, as each documents it.
    pub fn flush_ms(&self) -> u64 {
        500
    }

    /// How it is set up, for whoever reads the figures.
    pub fn configuration(&self, flush: Flush) -> String {
        match self {
            Target::Millstream(_) => {
                format!("store.flush={flush}, store.segment-bytes={SEGMENT_BYTES}")
            }
            Target::RocketMq => {
                format!(
                    "RocketMQ {ROCKETMQ}, heap 2 GB; {}",
                    rocketmq_settings(flush).join(", ")
                )
            }
            Target::RocketMqRust => {
                format!(
                    "rocketmq-rust {ROCKETMQ_RUST}; {}",
                    rocketmq_rust_settings(flush).join(", ")
                )
            }
        }
    }

    /// A name server of its own, where the broker brings none.
    pub fn name_server(&self, place: &Place) -> Result<Option<Process>> {
        match self {
            Target::Millstream(_) => Ok(None),
            Target::RocketMq => {
                let jars = Jars::rocketmq(ROCKETMQ)?;
                RocketMq::name_server(&jars, &place.folder, &place.address).map(Some)
            }
            Target::RocketMqRust => {
                let peer = RocketMqRust::build()?;
                peer.name_server(&place.folder, &place.address).map(Some)
            }
        }
    }

    pub fn command(&self, place: &Place, flush: Flush) -> Result<Command> {
        match self {
            Target::Millstream(program) => Ok(millstream(program, place, flush)),
            Target::RocketMq => {
                let settings = rocketmq_settings(flush);
                let settings: Vec<_> = settings.iter().map(String::as_str).collect();
                let jars = Jars::rocketmq(ROCKETMQ)?;
                RocketMq::broker_command(&jars, &place.folder, &place.address, &settings)
            }
            Target::RocketMqRust => {
                let settings = rocketmq_rust_settings(flush);
                let settings: Vec<_> = settings.iter().map(String::as_str).collect();
                RocketMqRust::build()?.broker_command(&place.folder, &place.address, &settings)
            }
        }
    }

    /// What a line contains that says: the doors are open.
    pub fn ready_words(&self) -> &'static str {
        match self {
            Target::Millstream(_) => "broker  ",
            Target::RocketMq => "boot success",
            Target::RocketMqRust => RocketMqRust::READY,
        }
    }

    /// The folder of the log's segments.
    pub fn log(&self, place: &Place) -> PathBuf {
        match self {
            Target::Millstream(_) => place.data().join("store/commitlog"),
            Target::RocketMq | Target::RocketMqRust => place.data().join("commitlog"),
        }
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    /// A peer by its name.
    fn from_str(text: &str) -> Result<Target> {
        match text {
            "rocketmq" => Ok(Target::RocketMq),
            "rocketmq-rust" => Ok(Target::RocketMqRust),
            _ => bail!("there is no peer {text:?}: rocketmq, rocketmq-rust"),
        }
    }
}

fn millstream(program: &PathBuf, place: &Place, flush: Flush) -> Command {
    let mut command = Command::new(program);
    let advertised = place.advertised.clone().unwrap_or_else(|| place.broker());
    if program.file_name().is_some_and(|name| name == BROKER_ALONE) {
        command
            .arg(place.data())
            .args(["--listen", &place.broker()])
            .args(["--advertise", &advertised])
            .args(["--name-server", &place.name_server()])
            .args(["--segment-bytes", &SEGMENT_BYTES.to_string()]);
        if !place.deletes {
            command.arg("--keep-all");
        }
        if flush == Flush::Sync {
            command.arg("--sync");
        }
        return command;
    }
    command.arg("up").arg("--data").arg(place.data());
    let address = &place.address;
    for setting in [
        format!("store.flush={flush}"),
        format!("store.segment-bytes={}KiB", SEGMENT_BYTES >> 10),
        format!(
            "store.clean-percent={}",
            if place.deletes { 85 } else { 100 }
        ),
        format!("nameserver.listen={}", place.name_server()),
        format!("broker.nameservers={}", place.name_server()),
        format!("broker.listen={}", place.broker()),
        format!("broker.advertise={advertised}"),
        format!("connect.listen={address}:8083"),
        format!("admin.listen={address}:8084"),
    ] {
        command.args(["--set", &setting]);
    }
    command
}

fn rocketmq_settings(flush: Flush) -> Vec<String> {
    let flush = match flush {
        Flush::Async => "ASYNC_FLUSH",
        Flush::Sync => "SYNC_FLUSH",
    };
    vec![
        format!("flushDiskType={flush}"),
        format!("mappedFileSizeCommitLog={SEGMENT_BYTES}"),
        "autoCreateTopicEnable=true".to_owned(),
        // Our clients ask for nothing else, but a consumer's first heartbeat may.
        "enablePropertyFilter=true".to_owned(),
        // A small machine shared with others is not full before it is full.
        "diskMaxUsedSpaceRatio=95".to_owned(),
    ]
}

/// The same, as rocketmq-rust calls it.
fn rocketmq_rust_settings(flush: Flush) -> Vec<String> {
    let flush = match flush {
        Flush::Async => "ASYNC_FLUSH",
        Flush::Sync => "SYNC_FLUSH",
    };
    vec![
        format!("store.flushDiskType = \"{flush}\""),
        format!("store.mappedFileSizeCommitLog = {SEGMENT_BYTES}"),
        "broker.enablePropertyFilter = true".to_owned(),
        // Over 85 % it would delete segments of any age, and over 90 % it refuses to start:
        // neither limit can be raised, and a disk shared with others may be fuller.
        "store.cleanFileForciblyEnable = false".to_owned(),
    ]
}

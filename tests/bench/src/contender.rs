//! The servers that are compared, each over a folder and on a loopback address of its own.

mod kafka;
mod millstream;
mod rocketmq;
mod rocketmq_rust;

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Result, bail};
use peers::Process;
use serde::{Deserialize, Serialize};

use crate::cores::on;
use crate::load::{LoadReport, Plan};

/// What an acknowledgement promises: to survive a `kill -9`, or a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flush {
    Async,
    Sync,
}

/// How RocketMQ is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    AsItComes,
    /// With the settings its best figures need.
    Tuned,
    /// With its queues in RocksDB instead of files.
    RocksDb,
}

/// Which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The program itself, or the broker alone.
    Millstream(PathBuf),
    RocketMq(Flavour),
    RocketMqRust,
    Kafka,
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    /// A peer by its name.
    fn from_str(text: &str) -> Result<Kind> {
        Ok(match text {
            "rocketmq" => Kind::RocketMq(Flavour::AsItComes),
            "rocketmq-tuned" => Kind::RocketMq(Flavour::Tuned),
            "rocketmq-rocksdb" => Kind::RocketMq(Flavour::RocksDb),
            "rocketmq-rust" => Kind::RocketMqRust,
            "kafka" => Kind::Kafka,
            _ => bail!(
                "there is no peer {text:?}: rocketmq, rocketmq-tuned, rocketmq-rocksdb, \
                 rocketmq-rust, kafka"
            ),
        })
    }
}

/// Where a server runs and what it promises.
#[derive(Clone, Debug)]
pub struct Place {
    /// Everything it keeps. Emptied by whoever wants a fresh store.
    pub folder: PathBuf,
    /// A loopback address that nobody else uses.
    pub address: &'static str,
    pub flush: Flush,
    /// Its core; `None` is all of them.
    pub core: Option<usize>,
}

impl Place {
    /// host:port of the broker.
    pub fn broker(&self) -> String {
        format!("{}:10911", self.address)
    }

    /// host:port of the name server.
    pub fn name_server(&self) -> String {
        format!("{}:9876", self.address)
    }
}

/// A running server, its name server beside it; gone when this is dropped.
pub struct Contender {
    pub kind: Kind,
    pub place: Place,
    pub broker: Process,
    /// Absent where the broker is its own.
    _names: Option<Process>,
}

impl Contender {
    /// Starts it; returns once it serves.
    pub fn start(kind: &Kind, place: &Place) -> Result<Contender> {
        std::fs::create_dir_all(&place.folder)?;
        on(place.core, || {
            let names = kind.start_names(place)?;
            Ok(Contender {
                kind: kind.clone(),
                place: place.clone(),
                broker: kind.start_broker(place)?,
                _names: names,
            })
        })
    }

    /// Starts the broker again over what it has left, once it is gone.
    pub fn start_again(&mut self) -> Result<()> {
        self.broker = on(self.place.core, || self.kind.start_broker(&self.place))?;
        Ok(())
    }

    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// Where another protocol needs another client: what that one found.
    pub fn load_by_own_client(&self, plan: &Plan) -> Option<Result<LoadReport>> {
        match self.kind {
            Kind::Kafka => Some(kafka::load(self, plan)),
            _ => None,
        }
    }
}

impl Kind {
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Millstream(_) => "Millstream",
            Kind::RocketMq(Flavour::AsItComes) => "RocketMQ",
            Kind::RocketMq(Flavour::Tuned) => "RocketMQ, tuned",
            Kind::RocketMq(Flavour::RocksDb) => "RocketMQ, RocksDB",
            Kind::RocketMqRust => "rocketmq-rust",
            Kind::Kafka => "Kafka",
        }
    }

    pub fn version(&self) -> &'static str {
        match self {
            Kind::Millstream(_) => env!("CARGO_PKG_VERSION"),
            Kind::RocketMq(_) => rocketmq::VERSION,
            Kind::RocketMqRust => peers::ROCKETMQ_RUST,
            Kind::Kafka => kafka::VERSION,
        }
    }

    /// Whether it is compiled while it runs, and so gets faster.
    pub fn learns(&self) -> bool {
        matches!(self, Kind::RocketMq(_) | Kind::Kafka)
    }

    /// How it differs from what it would be without any settings.
    pub fn configuration(&self, flush: Flush) -> String {
        match self {
            Kind::Millstream(binary) => millstream::configuration(binary, flush),
            Kind::RocketMq(flavour) => rocketmq::configuration(*flavour, flush),
            Kind::RocketMqRust => rocketmq_rust::configuration(flush),
            Kind::Kafka => kafka::configuration(flush),
        }
    }

    /// Bytes of the program on the disk, with all it is made of.
    pub fn program_bytes(&self) -> Result<u64> {
        Ok(match self {
            Kind::Millstream(binary) => binary.metadata()?.len(),
            Kind::RocketMq(_) => rocketmq::bytes()?,
            Kind::RocketMqRust => rocketmq_rust::bytes()?,
            Kind::Kafka => kafka::bytes()?,
        })
    }

    /// Downloads or builds what it needs, so that no start has to.
    pub fn bring(&self) -> Result<()> {
        match self {
            Kind::Millstream(_) => Ok(()),
            Kind::RocketMq(_) => peers::Jars::rocketmq(rocketmq::VERSION).map(drop),
            Kind::RocketMqRust => peers::RocketMqRust::build().map(drop),
            Kind::Kafka => kafka::bring(),
        }
    }

    fn start_names(&self, place: &Place) -> Result<Option<Process>> {
        match self {
            Kind::Millstream(_) | Kind::Kafka => Ok(None),
            Kind::RocketMq(_) => rocketmq::names(place).map(Some),
            Kind::RocketMqRust => rocketmq_rust::names(place).map(Some),
        }
    }

    fn start_broker(&self, place: &Place) -> Result<Process> {
        match self {
            Kind::Millstream(binary) => millstream::broker(binary, place),
            Kind::RocketMq(flavour) => rocketmq::broker(*flavour, place),
            Kind::RocketMqRust => rocketmq_rust::broker(place),
            Kind::Kafka => kafka::broker(place),
        }
    }
}

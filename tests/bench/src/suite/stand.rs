//! Where the sides of a pair stand, and one measurement of a side.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use peers::{cache, run};

use super::Options;
use crate::contender::{Contender, Flush, Kind, Place};
use crate::cores::{Placement, on};
use crate::load::{Client, JavaClient, LoadReport, Plan};
use crate::results::{Measurement, Side};

/// A loopback address for each side.
const ADDRESSES: [&str; 2] = ["127.0.0.101", "127.0.0.102"];
/// Bytes of a message beyond its body, on the wire and on the disk, about.
const OVERHEAD: u64 = 220;
/// Share of what a side may write that its warm-up may use.
const WARMING: f64 = 0.15;
/// Most warm-ups of what learns while it runs, each of half that share. One is enough when it has
/// cost client and broker no less than this part of the one before: then their compilers have
/// learnt.
const LEARNING: u32 = 8;
const LEARNT: f64 = 0.9;

/// One set of parameters of a workload.
pub struct Cell {
    pub name: String,
    pub flush: Flush,
    pub work: Work,
}

/// What is measured in a cell.
pub enum Work {
    /// A load on a server that runs through all rounds; what of its report counts.
    Load(Box<Plan>, fn(&LoadReport) -> Measurement),
    /// Something that starts and stops servers by itself, on a fresh store each time.
    Whole(Box<Whole>),
}

type Whole = dyn Fn(&Stand, &Kind, &Place) -> Result<Measurement>;

impl Cell {
    /// Bytes of one message, on the wire and on the disk, about.
    pub fn message_bytes(&self) -> u64 {
        match &self.work {
            Work::Load(plan, _) => plan.body as u64 + OVERHEAD,
            Work::Whole(_) => 0,
        }
    }

    /// Messages under way at once.
    pub fn outstanding(&self) -> u64 {
        match &self.work {
            // A rate that is given has no limit to be held against.
            Work::Load(plan, _) if plan.rate.is_some() => 0,
            Work::Load(plan, _) => {
                u64::from(plan.producers) * u64::from(plan.depth) * u64::from(plan.batch)
            }
            Work::Whole(_) => 0,
        }
    }
}

/// What all cells of a run have in common.
pub struct Stand {
    pub options: Options,
    pub placement: Placement,
    /// Stores and the probes' file are made here; emptied by [`Stand::new`].
    pub folder: PathBuf,
}

/// One side of a pair between rounds.
pub struct Running {
    kind: Kind,
    place: Place,
    /// Present where the server runs through all rounds.
    server: Option<Contender>,
    /// And its client with it, where that is a process that learns.
    java: Option<JavaClient>,
}

impl Stand {
    pub fn new(options: &Options) -> Result<Stand> {
        let folder = match &options.folder {
            Some(folder) => folder.clone(),
            None => cache("bench")?,
        };
        let folder = folder.join(format!("suite-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Stand {
            placement: options.placement(),
            options: options.clone(),
            folder,
        })
    }

    /// Starts and warms up the sides of a cell, on fresh stores.
    pub fn prepare(&self, cell: &Cell, kinds: &[&Kind]) -> Result<Vec<Running>> {
        let mut sides = Vec::new();
        for (kind, address) in kinds.iter().zip(ADDRESSES) {
            let place = Place {
                folder: self.folder.join(address),
                address,
                flush: cell.flush,
                core: self.placement.broker()?,
            };
            std::fs::remove_dir_all(&place.folder).ok();
            let server = match &cell.work {
                Work::Load(..) => Some(Contender::start(kind, &place)?),
                Work::Whole(_) => None,
            };
            sides.push(Running {
                kind: (*kind).clone(),
                place,
                server,
                java: None,
            });
        }
        if let Work::Load(plan, _) = &cell.work {
            for side in &mut sides {
                side.warm_up(self, plan)?;
            }
        }
        Ok(sides)
    }

    /// The plan with no more messages than `share` of what a side may write.
    fn bounded(&self, plan: &Plan, share: f64) -> Plan {
        let bytes = self.options.store_gib * f64::from(1 << 30) * share;
        let messages = (bytes / (plan.body as u64 + OVERHEAD) as f64) as u64;
        let batch = u64::from(plan.batch);
        Plan {
            messages: plan.messages.min(messages / batch * batch).max(batch),
            ..plan.clone()
        }
    }

    /// Runs the generator as a process of its own against a server.
    pub fn load(&self, server: &Contender, plan: &Plan) -> Result<LoadReport> {
        let plan = self.plan_for(server, plan)?;
        if let Some(report) = server.load_by_own_client(&plan) {
            return report;
        }
        let said = run(Command::new(std::env::current_exe()?)
            .arg("plan")
            .arg(serde_json::to_string(&plan)?))
        .with_context(|| format!("against {}", server.name()))?;
        Ok(serde_json::from_str(&said)?)
    }

    /// The plan as it is for one server.
    fn plan_for(&self, server: &Contender, plan: &Plan) -> Result<Plan> {
        let mut plan = plan.clone();
        plan.broker = Some(server.place.broker());
        plan.process = Some(server.broker.id());
        plan.core = self.placement.generator()?;
        if matches!(server.kind, Kind::Millstream(_)) {
            // Kinds of topics that only others have.
            plan.attributes = None;
        }
        Ok(plan)
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.folder).ok();
    }
}

impl Running {
    /// Lets server and client learn; whoever cannot do it fails when it is measured.
    fn warm_up(&mut self, stand: &Stand, plan: &Plan) -> Result<()> {
        let server = self.server.as_ref().context("it was started")?;
        let (name, place) = (server.name(), &server.place);
        let (runs, share) = match self.kind.learns() || plan.client == Client::Java {
            true => (LEARNING, WARMING / 2.0),
            false => (1, WARMING),
        };
        if plan.client == Client::Java && self.kind != Kind::Kafka {
            JavaClient::bring()?;
            let broker = place.broker().parse()?;
            let start = || JavaClient::start(broker, &place.name_server());
            self.java = Some(on(stand.placement.generator()?, start)?);
        }
        println!("warming {name} up");
        let mut before = f64::INFINITY;
        for number in 1..=runs {
            let warm = Plan {
                topic: format!("warm-up-{number}"),
                seconds: stand.options.warm_up,
                ..stand.bounded(plan, share)
            };
            let produced = match self.load(stand, &warm) {
                Ok(report) => report.produced,
                Err(why) => {
                    println!("{name} did not warm up: {why:#}");
                    break;
                }
            };
            let cost = produced.cost.cpu_seconds() / produced.measured.max(1) as f64;
            if cost > before * LEARNT {
                break;
            }
            before = cost;
        }
        Ok(())
    }

    fn load(&mut self, stand: &Stand, plan: &Plan) -> Result<LoadReport> {
        let server = self.server.as_ref().context("it was started")?;
        match &mut self.java {
            Some(client) => client.run(&stand.plan_for(server, plan)?),
            None => stand.load(server, plan),
        }
    }

    /// One measurement of this side.
    pub fn measure(&mut self, stand: &Stand, cell: &Cell, round: u32) -> Result<Measurement> {
        match &cell.work {
            Work::Load(plan, of) => {
                let share = (1.0 - WARMING) / f64::from(stand.options.rounds);
                let plan = Plan {
                    topic: format!("round-{round}"),
                    ..stand.bounded(plan, share)
                };
                let measured = self.load(stand, &plan).map(|report| {
                    let mut measurement = of(&report);
                    measurement.raw = Some(report);
                    measurement
                });
                self.accept(measured)
            }
            Work::Whole(measure) => {
                empty(&self.place.folder)?;
                let measured = match self.kind {
                    Kind::Kafka => Err(anyhow!("another protocol, and so not measured here")),
                    _ => measure(stand, &self.kind, &self.place),
                };
                empty(&self.place.folder)?;
                self.accept(measured)
            }
        }
    }

    /// What a peer cannot do is a result, and so is that the generator was at its limit. What
    /// ours cannot do ends the run.
    fn accept(&self, measured: Result<Measurement>) -> Result<Measurement> {
        let failed = |why: String| Measurement {
            failed: Some(why),
            ..Measurement::default()
        };
        match measured {
            Err(why) if matches!(self.kind, Kind::Millstream(_)) => Err(why),
            Err(why) => Ok(failed(format!("{why:#}"))),
            Ok(measured) => {
                let refused = measured.raw.as_ref().and_then(|raw| raw.refused.clone());
                Ok(refused.map_or(measured, failed))
            }
        }
    }

    pub fn describe(&self) -> Side {
        Side {
            name: self.kind.name().into(),
            version: self.kind.version().into(),
            configuration: self.kind.configuration(self.place.flush),
        }
    }
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    Ok(())
}

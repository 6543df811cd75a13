//! `millstream store export`: a copy of a store that RocketMQ opens.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use metadata::{MemoryTables, Metadata};
use runtime::{Disk, RealDisk};
use serde::Serialize;
use server::HandedBack;
use store::{ExportError, ExportStage, Settings};

use super::around::Copy;
use super::{Place, explained};
use crate::arguments::{Global, Output};
use crate::failure::{Exit, Failure, counted};
use crate::output;
use crate::progress::Progress;

pub fn run(global: &Global, place: &Place, beside: Option<&Path>, to: &Path) -> Result<()> {
    let disk: Arc<dyn Disk> = RealDisk::new();
    // Held from here on: nobody changes what is read.
    let offline = place.open()?;
    let (metadata, copy) = metadata_of(&disk, place, beside)?;
    let to = std::path::absolute(to).context("the directory to be made")?;
    let mut bars: HashMap<ExportStage, Progress> = HashMap::new();
    let mut progress = |stage: ExportStage, done: u64, total: u64| {
        let bar = bars.entry(stage);
        bar.or_insert_with(|| Progress::of_bytes(name(stage), total))
            .at(done);
    };
    let handed = server::hand_back(
        &disk,
        &offline,
        &metadata,
        &Settings::default(),
        &to,
        &mut progress,
    );
    drop(bars);
    drop((metadata, copy));
    report(global.output, &handed.map_err(|why| refused(&why))?);
    Ok(())
}

fn name(stage: ExportStage) -> &'static str {
    match stage {
        ExportStage::Checking => "looking for damage",
        ExportStage::Reading => "reading",
        ExportStage::Copying => "copying",
    }
}

/// Opened as a copy, because opening it writes to it. A store that only RocketMQ has had open
/// has its metadata in its `config` folder.
fn metadata_of(
    disk: &Arc<dyn Disk>,
    place: &Place,
    beside: Option<&Path>,
) -> Result<(Metadata, Option<Copy>)> {
    if let Some(folder) = beside.or(place.metadata.as_deref()) {
        let copy = Copy::of(folder).context("copying the metadata")?;
        let metadata = Metadata::open(&copy.folder).context("reading the metadata")?;
        return Ok((metadata, Some(copy)));
    }
    let config = place.store.join("config");
    if place.store.join("millstream").exists() || !config.exists() {
        bail!(
            Failure::new(
                Exit::NotFound,
                "metadata.not-found",
                format!("nothing says which topics and groups {} has", place.shown())
            )
            .why("a house keeps that in the metadata folder of its data, beside the store")
            .fix(format!(
                "name it:  millstream store export {} --metadata DATA/metadata --to DIRECTORY",
                place.shown()
            ))
        );
    }
    let metadata = Metadata::over(Arc::new(MemoryTables::default()))?;
    server::adopt(disk, &place.store, &metadata)?;
    Ok((metadata, None))
}

/// Why nothing was written, as a reader needs it.
fn refused(why: &ExportError) -> Failure {
    let text = why.to_string();
    match why {
        ExportError::NotClosed { path } => Failure::new(Exit::Conflict, "store.not-closed", text)
            .why("its broker was killed, so the end of its log may be torn")
            .fix(format!(
                "start the house once and stop it with Ctrl-C; or, if nothing is to start, see\n\
                 millstream store check {}",
                path.display()
            )),
        ExportError::Damaged { path, .. } => Failure::new(Exit::Partial, "store.damaged", text)
            .why("a copy would be damaged as well, and RocketMQ would cut its log there")
            .fix(format!("millstream store repair {}", path.display())),
        ExportError::Segments { .. } => Failure::new(Exit::Conflict, "store.segments", text)
            .why("RocketMQ divides an offset by the one size of all segments to find a message")
            .fix("keep store.segment-bytes at the size that is to stay, and export when the others are deleted"),
        ExportError::Taken { path } => Failure::new(Exit::Conflict, "export.taken", text)
            .why("an export replaces nothing")
            .fix(format!("name another directory, or remove {}", path.display())),
        ExportError::InTheWay { path } => Failure::new(Exit::Conflict, "export.in-the-way", text)
            .why("an export is written there until it is whole, and this was begun by something else")
            .fix(format!("name another directory, or move {}", path.display())),
        ExportError::Within { .. } => Failure::new(Exit::Usage, "usage", text)
            .why("what is read must not change while it is read")
            .fix("name a directory outside"),
        ExportError::Store(why) => explained(why),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    path: String,
    segments: u64,
    shared_segments: u64,
    records: u64,
    queues: u64,
    topics: usize,
    groups: usize,
    offsets: usize,
    lost_places: u64,
    left_out: &'a [String],
    broker_conf: &'a [String],
}

fn report(format: Output, handed: &HandedBack) {
    let exported = &handed.exported;
    let report = Report {
        path: handed.path.display().to_string(),
        segments: exported.segments,
        shared_segments: exported.shared,
        records: exported.records,
        queues: exported.queues,
        topics: handed.topics,
        groups: handed.groups,
        offsets: handed.offsets,
        lost_places: exported.lost_places,
        left_out: &exported.left_out,
        broker_conf: &handed.settings,
    };
    let lines = [
        ("written", report.path.clone()),
        ("segments", segments(exported.segments, exported.shared)),
        ("records", report.records.to_string()),
        ("queues", report.queues.to_string()),
        ("topics", report.topics.to_string()),
        ("groups", report.groups.to_string()),
        ("offsets", report.offsets.to_string()),
        ("lost places", report.lost_places.to_string()),
    ];
    output::one(format, &report, &lines);
    if format == Output::Json {
        return;
    }
    for queue in &exported.left_out {
        eprintln!("{queue} is left out: no directory can have its name");
    }
    output::line("\nfor broker.conf, beside the name and the address that this broker had:");
    handed.settings.iter().for_each(|line| output::line(line));
}

fn segments(all: u64, shared: u64) -> String {
    match shared {
        0 => all.to_string(),
        _ => format!(
            "{all}, {} in no space of their own",
            counted(shared as usize, "segment")
        ),
    }
}

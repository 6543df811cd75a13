//! `millstream store`: a store's directory, read and mended while no broker has it open.

mod around;
mod dump;
mod export;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use runtime::RealDisk;
use serde::Serialize;
use store::{Check, Error, Finding, Offline, Totals};

use crate::arguments::{ExportFormat, Global, Output, Store};
use crate::failure::{Exit, Failure, counted};
use crate::output;
use crate::progress::Progress;

pub fn run(global: &Global, command: &Store) -> Result<()> {
    match command {
        Store::Check { directory } => check(global, &Place::of(directory)),
        Store::Repair {
            directory,
            dry_run,
            yes,
        } => repair(global, &Place::of(directory), *dry_run, *yes),
        Store::Dump(dump) => dump::run(global, &Place::of(&dump.directory), dump),
        Store::Export {
            directory,
            format: ExportFormat::Rocketmq,
            to,
            metadata,
        } => export::run(global, &Place::of(directory), metadata.as_deref(), to),
    }
}

/// Where a store lies, and the metadata beside it.
struct Place {
    store: PathBuf,
    metadata: Option<PathBuf>,
}

impl Place {
    /// People know the data folder, refusals name the store in it.
    fn of(directory: &Path) -> Place {
        let within = directory.join("store");
        let store = match !directory.join("commitlog").exists() && within.exists() {
            true => within,
            false => directory.to_owned(),
        };
        let beside = store.parent().map(|parent| parent.join("metadata"));
        Place {
            metadata: beside.filter(|folder| folder.is_dir()),
            store,
        }
    }

    fn open(&self) -> Result<Offline> {
        let opened = Offline::open(self.store.clone(), RealDisk::new());
        Ok(opened.map_err(|why| explained(&why))?)
    }

    fn shown(&self) -> std::path::Display<'_> {
        self.store.display()
    }
}

/// Why a store's directory cannot be used, as a reader needs it.
pub fn explained(why: &Error) -> Failure {
    match why {
        Error::Refused { path, why } => {
            let path = path.display();
            Failure::new(
                Exit::Conflict,
                "store.refused",
                format!("the store in {path} cannot be opened"),
            )
            .why(why)
            .fix(format!(
                "see all that is wrong:  millstream store check {path}\n\
                 and mend it:  millstream store repair {path}"
            ))
        }
        Error::InUse { path } => Failure::new(
            Exit::Conflict,
            "store.in-use",
            format!("the store in {} is in use", path.display()),
        )
        .why("a broker has it open: what is read beside it may be half written")
        .fix("stop the broker first"),
        Error::NoStore { path } => Failure::new(
            Exit::NotFound,
            "store.not-found",
            format!("{} is not the directory of a store", path.display()),
        )
        .why("it has no commitlog in it, and no store with one")
        .fix("name the data folder of a house, or the folder that has commitlog in it"),
        other => Failure::new(Exit::Partial, "store.failed", other.to_string())
            .why("the disk or the files in it did not do what was asked of them")
            .fix("look at the disk and at who may read and write the files, then try again"),
    }
}

#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    position: Option<u64>,
    what: &'a str,
    repair: &'a str,
    harmless: bool,
}

impl<'a> From<&'a Finding> for Row<'a> {
    fn from(finding: &'a Finding) -> Self {
        Row {
            file: &finding.file,
            position: finding.position,
            what: &finding.what,
            repair: &finding.repair,
            harmless: finding.harmless,
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    sound: bool,
    closed_in_order: bool,
    findings: Vec<Row<'a>>,
    segments: u64,
    records: u64,
    queues: u64,
    bytes: u64,
}

fn read(place: &Place, offline: &Offline) -> Result<Check> {
    let mut progress = None;
    let check = offline.check(&mut |done, total| {
        let progress = progress.get_or_insert_with(|| Progress::of_bytes("log", total));
        progress.at(done);
    });
    drop(progress);
    let mut check = check.map_err(|why| explained(&why))?;
    check.findings.extend(around::findings(place)?);
    Ok(check)
}

fn check(global: &Global, place: &Place) -> Result<()> {
    let offline = place.open()?;
    let check = read(place, &offline)?;
    report(global.output, &check);
    fail_unless_sound(place, &check)
}

fn fail_unless_sound(place: &Place, check: &Check) -> Result<()> {
    if check.is_sound() {
        return Ok(());
    }
    let grave: Vec<_> = check.findings.iter().filter(|one| !one.harmless).collect();
    let fix = match check.plan().is_empty() {
        true => "restore what is named from a copy".to_owned(),
        false => format!("millstream store repair {}", place.shown()),
    };
    bail!(
        Failure::new(
            Exit::Partial,
            "store.damaged",
            format!(
                "the store in {} has {}",
                place.shown(),
                counted(grave.len(), "fault")
            )
        )
        .why(grave[0].what.as_str())
        .fix(fix)
        .at(where_it_is(grave[0]))
    )
}

fn where_it_is(finding: &Finding) -> String {
    match finding.position {
        Some(position) => format!("{} at {position}", finding.file),
        None => finding.file.clone(),
    }
}

fn report(format: Output, check: &Check) {
    let findings: Vec<_> = check.findings.iter().map(Row::from).collect();
    let Totals {
        segments,
        records,
        queues,
        bytes,
    } = check.totals;
    if format == Output::Table && !findings.is_empty() {
        let headings = ["FILE", "POSITION", "WHAT", "REPAIR"];
        output::rows(format, &findings, &headings, |row| {
            let position = row.position.map(|position| position.to_string());
            vec![
                row.file.to_owned(),
                position.unwrap_or_default(),
                row.what.to_owned(),
                row.repair.to_owned(),
            ]
        });
        output::line("");
    }
    let lines = [
        ("segments", segments.to_string()),
        ("records", records.to_string()),
        ("queues", queues.to_string()),
        ("bytes", bytes.to_string()),
        (
            "closed",
            match check.crashed {
                true => "no: the next start reads the end of the log again".to_owned(),
                false => "in order".to_owned(),
            },
        ),
        (
            "sound",
            match check.is_sound() {
                true => "yes".to_owned(),
                false => "no".to_owned(),
            },
        ),
    ];
    let report = Report {
        sound: check.is_sound(),
        closed_in_order: !check.crashed,
        findings,
        segments,
        records,
        queues,
        bytes,
    };
    output::one(format, &report, &lines);
}

#[derive(Serialize)]
struct Done {
    plan: Vec<String>,
    done: bool,
}

fn repair(global: &Global, place: &Place, dry_run: bool, yes: bool) -> Result<()> {
    let offline = place.open()?;
    let check = read(place, &offline)?;
    if let Some(why) = check.hopeless() {
        bail!(
            Failure::new(
                Exit::Partial,
                "store.hopeless",
                format!("the store in {} cannot be repaired", place.shown())
            )
            .why(why)
            .fix("restore the directory from a copy, or begin with an empty one")
        );
    }
    let plan = check.plan();
    if plan.is_empty() {
        told(global.output, plan, true, "there is nothing to repair");
        return fail_unless_sound(place, &check);
    }
    if dry_run {
        told(global.output, plan, false, "");
        return Ok(());
    }
    if !yes {
        told(global.output, plan, false, "");
        bail!(
            Failure::new(Exit::Usage, "confirm", "nothing has been changed")
                .why("a repair moves parts of the store, and has to be wanted")
                .fix(format!(
                    "if that is the plan:  millstream store repair {} --yes",
                    place.shown()
                ))
        );
    }
    let quiet = global.output == Output::Json;
    offline
        .repair(&check, &mut |step, done| match (quiet, done) {
            (true, _) => {}
            (false, false) => output::line(step),
            (false, true) => output::line("  done"),
        })
        .map_err(|why| explained(&why))?;
    if quiet {
        told(global.output, plan, true, "");
    }
    let left = read(place, &offline)?;
    if left.is_sound() && !quiet {
        output::line(&format!(
            "the store in {} is sound: {} in {}",
            place.shown(),
            counted(left.totals.records as usize, "record"),
            counted(left.totals.segments as usize, "segment"),
        ));
    }
    fail_unless_sound(place, &left)
}

/// Prints the plan, or what there is to say where there is none.
fn told(format: Output, plan: Vec<String>, done: bool, nothing: &str) {
    if format == Output::Json {
        output::one(format, &Done { plan, done }, &[]);
        return;
    }
    if plan.is_empty() {
        output::line(nothing);
    }
    plan.iter().for_each(|step| output::line(step));
}

//! The broker into files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use connect_sdk::{
    Alias, Connector, Context, Description, Error, Finding, Guarantee, Kind, Object, Options,
    Positions, RawRecord, Records, Refused, Sink, SinkBatch, Takes, TaskOptions,
};
use format::{Encoder, Format, Options as FormatOptions};
use runtime::{Disk, DiskLock, File, Open};

use crate::options::{check, csv_options, sink_options};
use crate::part::{Part, ends};

/// What Kafka's own file sink does, and a record may then stand in the file twice.
const ONE_FILE: &str = "FileStreamSink appends to one file; here a directory gets a file per queue and flush, so that each record is in it exactly once";
const INSTEAD: &str =
    "write connector.class = \"file-sink\" and, as path, a directory; file.format is jsonl or csv";

const ALIASES: &[Alias] = &[
    Alias::refused(
        "org.apache.kafka.connect.file.FileStreamSinkConnector",
        ONE_FILE,
        INSTEAD,
    ),
    Alias::refused("FileStreamSink", ONE_FILE, INSTEAD),
];

/// Writes JSON-lines and CSV files into a directory, one per queue and flush. A file appears
/// under its name when it is whole and durable, and the names hold the positions: after any
/// crash the directory holds each record exactly once.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSink;

#[async_trait]
impl Connector for FileSink {
    fn describe(&self) -> Description {
        Description {
            name: "file-sink",
            family: "file",
            aliases: ALIASES,
            kind: Kind::Sink,
            version: env!("CARGO_PKG_VERSION"),
            summary: "Writes JSON-lines and CSV files into a directory, each record exactly once.",
            guarantee: Guarantee::ExactlyOnce,
            options: sink_options(),
        }
    }

    fn check(&self, options: &Options) -> Vec<Finding> {
        check(options, &[])
    }

    async fn probe(&self, options: &Options, context: &Context) -> Vec<Finding> {
        let path = options.text("path").unwrap_or_default().to_owned();
        let disk = context.disk.clone();
        let looked = context
            .tasks
            .blocking("connector-file probe", move || {
                let directory = Path::new(&path);
                if !disk.exists(directory)? {
                    return Ok(None);
                }
                let entries = disk.list(directory)?;
                Ok::<_, io::Error>(ends(entries.iter().map(|entry| entry.name.as_str())).err())
            })
            .await;
        match looked {
            Ok(Ok(None)) => Vec::new(),
            Ok(Ok(Some(name))) => vec![overlap(&name)],
            Ok(Err(error)) => {
                vec![Finding::error(
                    "connector.file.unreadable",
                    "path",
                    error.to_string(),
                )]
            }
            Err(error) => vec![Finding::warning(
                "connector.probe",
                "path",
                error.to_string(),
            )],
        }
    }

    fn check_position(
        &self,
        options: &Options,
        _: &Object,
        _: Option<&Object>,
    ) -> Result<(), String> {
        let path = options.text("path").unwrap_or_default();
        Err(format!(
            "the names of the files in {path} say how far it is: remove those whose records shall be written again"
        ))
    }

    async fn sink(&self, task: TaskOptions, context: Context) -> Result<Box<dyn Sink>, Error> {
        let options = task.options;
        let directory = PathBuf::from(options.text("path").unwrap_or_default());
        let own = format!(".{}-{}.", context.connector, context.task);
        let (disk, at, prefix) = (context.disk.clone(), directory.clone(), own.clone());
        let lock = context
            .tasks
            .blocking("connector-file open", move || {
                enter(disk.as_ref(), &at, &prefix)
            })
            .await
            .map_err(|error| Error::transient(error.to_string()))?
            .map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock => Error::fenced(format!(
                    "another process writes as task {} of {} into {}",
                    context.task,
                    context.connector,
                    directory.display()
                )),
                _ => disk_error(&directory, &error),
            })?;
        let csv = options.text("file.format") == Some("csv");
        Ok(Box::new(Directory {
            format: if csv { Format::Csv } else { Format::Json },
            header: csv && options.boolean("csv.header"),
            format_options: FormatOptions {
                csv: csv_options(&options)?,
                ..FormatOptions::default()
            },
            directory,
            own,
            parts: BTreeMap::new(),
            encoder: None,
            context,
            _lock: lock,
        }))
    }
}

/// One task's hold on the directory.
struct Directory {
    directory: PathBuf,
    /// How the names of this task's unfinished files begin.
    own: String,
    format: Format,
    header: bool,
    format_options: FormatOptions,
    encoder: Option<Encoder>,
    parts: BTreeMap<(String, u32), Unfinished>,
    context: Context,
    _lock: DiskLock,
}

/// A file that has no final name yet.
struct Unfinished {
    file: Arc<dyn File>,
    path: PathBuf,
    part: Part,
    len: u64,
}

#[async_trait]
impl Sink for Directory {
    fn takes(&self) -> Takes {
        match self.format {
            Format::Csv => Takes::Columns(None),
            _ => Takes::Any,
        }
    }

    async fn write(&mut self, batch: SinkBatch) -> Result<Vec<Refused>, Error> {
        let key = (batch.topic.clone(), batch.queue);
        let mut bytes = Vec::new();
        let refused = match &batch.records {
            Records::Columns(rows) => {
                let starts = self.header && !self.parts.contains_key(&key);
                let encoder = self.encoder(rows)?;
                if starts {
                    bytes = encoder.csv_header();
                    bytes.push(b'\n');
                }
                encoder
                    .encode_into(rows, &mut bytes, |out| out.push(b'\n'))
                    .map_err(|error| Error::config(error.to_string(), "change schema"))?;
                Vec::new()
            }
            Records::Bytes(records) => json_lines(records, &mut bytes),
        };
        if refused.len() == batch.records.len() && !self.parts.contains_key(&key) {
            // Nothing to keep: a part without records would only be a name. The group's own
            // position covers the refused ones.
            return Ok(refused);
        }
        let unfinished = match self.parts.remove(&key) {
            Some(unfinished) => Ok(unfinished),
            None => Err(Part {
                topic: batch.topic,
                queue: batch.queue,
                first: batch.first,
                next: batch.first,
            }),
        };
        let (disk, directory, own) = (
            self.context.disk.clone(),
            self.directory.clone(),
            self.own.clone(),
        );
        let written = self
            .context
            .tasks
            .blocking("connector-file write", move || -> io::Result<Unfinished> {
                let mut unfinished = match unfinished {
                    Ok(unfinished) => unfinished,
                    Err(part) => begin(disk.as_ref(), &directory, &own, part)?,
                };
                unfinished.file.write_all_at(&bytes, unfinished.len)?;
                unfinished.len += bytes.len() as u64;
                unfinished.part.next = batch.next;
                Ok(unfinished)
            })
            .await
            .map_err(|error| Error::transient(error.to_string()))?
            .map_err(|error| disk_error(&self.directory, &error))?;
        self.parts.insert(key, written);
        Ok(refused)
    }

    async fn flush(&mut self) -> Result<Positions, Error> {
        let parts: Vec<Unfinished> = std::mem::take(&mut self.parts).into_values().collect();
        if parts.is_empty() {
            return Ok(Positions::new());
        }
        let extension = match self.format {
            Format::Csv => "csv",
            _ => "jsonl",
        };
        let (disk, directory) = (self.context.disk.clone(), self.directory.clone());
        self.context
            .tasks
            .blocking("connector-file flush", move || -> io::Result<Positions> {
                let mut positions = Positions::new();
                for unfinished in &parts {
                    unfinished.file.fdatasync()?;
                    let part = &unfinished.part;
                    disk.rename(&unfinished.path, &directory.join(part.file_name(extension)))?;
                    positions.set_queue(&part.topic, part.queue, part.next);
                }
                disk.fsync_dir(&directory)?;
                Ok(positions)
            })
            .await
            .map_err(|error| Error::transient(error.to_string()))?
            .map_err(|error| disk_error(&self.directory, &error))
    }

    async fn position(&mut self) -> Result<Option<Positions>, Error> {
        let (disk, directory) = (self.context.disk.clone(), self.directory.clone());
        let entries = self
            .context
            .tasks
            .blocking("connector-file position", move || {
                // What an earlier process renamed may not be durable yet, but is counted now.
                disk.fsync_dir(&directory)?;
                disk.list(&directory)
            })
            .await
            .map_err(|error| Error::transient(error.to_string()))?
            .map_err(|error| disk_error(&self.directory, &error))?;
        let ends = ends(entries.iter().map(|entry| entry.name.as_str())).map_err(|name| {
            let finding = overlap(&name);
            Error::config(finding.message, finding.hint.unwrap_or_default())
        })?;
        let mut positions = Positions::new();
        for ((topic, queue), next) in ends {
            positions.set_queue(&topic, queue, next);
        }
        Ok(Some(positions))
    }
}

impl Directory {
    fn encoder(&mut self, rows: &RecordBatch) -> Result<&Encoder, Error> {
        let stale = self
            .encoder
            .as_ref()
            .is_none_or(|encoder| *encoder.schema() != rows.schema());
        if stale {
            let encoder = Encoder::new(self.format, rows.schema(), self.format_options.clone())
                .map_err(|error| {
                    Error::config(error.to_string(), "change schema or file.format")
                })?;
            self.encoder = Some(encoder);
        }
        Ok(self.encoder.as_ref().expect("made above"))
    }
}

/// Locks this task's names in the directory and clears away what an earlier run left unfinished.
fn enter(disk: &dyn Disk, directory: &Path, own: &str) -> io::Result<DiskLock> {
    disk.create_dir_all(directory)?;
    let lock = disk.lock(&directory.join(format!("{own}lock")))?;
    for entry in disk.list(directory)? {
        if entry.name.starts_with(own) && entry.name.ends_with(UNFINISHED) {
            disk.unlink(&directory.join(&entry.name))?;
        }
    }
    Ok(lock)
}

const UNFINISHED: &str = ".unfinished";

fn begin(disk: &dyn Disk, directory: &Path, own: &str, part: Part) -> io::Result<Unfinished> {
    let path = directory.join(format!(
        "{own}{}-{}-{}{UNFINISHED}",
        part.topic, part.queue, part.first
    ));
    let file = disk.open(&path, Open::Create)?;
    file.set_len(0)?;
    Ok(Unfinished {
        file,
        path,
        part,
        len: 0,
    })
}

/// Writes bodies as lines. A line end inside JSON can only be blank space, so it becomes some.
fn json_lines(records: &[RawRecord], out: &mut Vec<u8>) -> Vec<Refused> {
    let mut refused = Vec::new();
    for (row, record) in records.iter().enumerate() {
        if let Err(error) = serde_json::from_slice::<&serde_json::value::RawValue>(&record.body) {
            refused.push(Refused {
                row,
                why: format!("the body is no JSON: {error}"),
            });
            continue;
        }
        out.extend(record.body.iter().map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        }));
        out.push(b'\n');
    }
    refused
}

fn overlap(name: &str) -> Finding {
    Finding::error(
        "connector.file.overlap",
        "path",
        format!("file {name} begins before the one before it ends: two connectors wrote into one directory"),
    )
    .with_hint("remove the wrong file, or give each connector its own directory")
}

fn disk_error(directory: &Path, error: &io::Error) -> Error {
    let message = format!(
        "directory {} cannot be written: {error}",
        directory.display()
    );
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Error::config(message, "let the user that runs Millstream write there")
        }
        io::ErrorKind::NotADirectory => Error::config(message, "give the path of a directory"),
        _ => Error::transient(message),
    }
}

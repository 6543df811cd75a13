//! Files into the broker.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use connect_sdk::{
    Alias, Connector, Context, Description, Error, Finding, Guarantee, Kind, Object, Options,
    Positions, Source, SourceBatch, TaskCount, TaskOptions, join_list,
};
use runtime::Open;

use crate::options::{check, source_options};
use crate::position::{Stored, path_of};
use crate::reader::{Look, Reader, disk_error};

/// What Kafka's own file source does with a file.
const LINES: &[(&str, &str)] = &[("file.format", "lines")];

const ALIASES: &[Alias] = &[
    Alias::with(
        "org.apache.kafka.connect.file.FileStreamSourceConnector",
        LINES,
    ),
    Alias::with("FileStreamSource", LINES),
];

/// Reads CSV, JSON-lines and text files, once or as they grow. A position is an inode, a byte and a
/// line: a file renamed while it is read, as log rotation does, is read to its end before the
/// new one is begun.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSource;

#[async_trait]
impl Connector for FileSource {
    fn describe(&self) -> Description {
        Description {
            name: "file-source",
            family: "file",
            aliases: ALIASES,
            kind: Kind::Source,
            version: env!("CARGO_PKG_VERSION"),
            summary: "Reads CSV, JSON-lines and text files, to their end or as they grow.",
            guarantee: Guarantee::ExactlyOnce,
            options: source_options(),
        }
    }

    fn check(&self, options: &Options) -> Vec<Finding> {
        check(options, &options.list("path"))
    }

    async fn probe(&self, options: &Options, context: &Context) -> Vec<Finding> {
        let bounded = options.text("mode") == Some("bounded");
        let mut findings = Vec::new();
        for path in options.list("path") {
            let (disk, file) = (context.disk.clone(), path.clone());
            let opened = context
                .tasks
                .blocking("connector-file probe", move || {
                    disk.open(Path::new(&file), Open::Read).map(drop)
                })
                .await;
            let missing_is_fine = !bounded
                && matches!(&opened, Ok(Err(error)) if error.kind() == ErrorKind::NotFound);
            let error = match opened {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => disk_error(&path, "opened", &error),
                Err(error) => Error::transient(error.to_string()),
            };
            let finding = if missing_is_fine {
                Finding::warning("connector.file.missing", "path", error.to_string())
                    .with_hint("it is read as soon as it is there")
            } else {
                let finding =
                    Finding::error("connector.file.unreadable", "path", error.to_string());
                match error.hint() {
                    Some(hint) => finding.with_hint(hint),
                    None => finding,
                }
            };
            findings.push(finding);
        }
        findings
    }

    fn check_position(
        &self,
        options: &Options,
        partition: &Object,
        offset: Option<&Object>,
    ) -> Result<(), String> {
        let Some(path) = path_of(partition) else {
            return Err("a partition must hold filename, the path of a file".to_owned());
        };
        let Some(offset) = offset else { return Ok(()) };
        let paths = options.list("path");
        if !paths.iter().any(|known| known == path) {
            let known = join_list(paths.iter().map(String::as_str));
            return Err(format!("{path} is none of the files it reads: {known}"));
        }
        Stored::read(offset).map(drop)
    }

    async fn divide(
        &self,
        options: &Options,
        limit: TaskCount,
        _: &Context,
    ) -> Result<Vec<TaskOptions>, Error> {
        let paths = options.list("path");
        let count = limit.get().min(paths.len()).max(1);
        let mut parts: Vec<Vec<&str>> = vec![Vec::new(); count];
        for (number, path) in paths.iter().enumerate() {
            parts[number % count].push(path);
        }
        let task = |paths: Vec<&str>| {
            let part = join_list(paths);
            TaskOptions {
                options: options.with("path", part.clone()),
                part,
            }
        };
        Ok(parts.into_iter().map(task).collect())
    }

    async fn source(
        &self,
        task: TaskOptions,
        from: Positions,
        context: Context,
    ) -> Result<Box<dyn Source>, Error> {
        let options = task.options;
        let readers: Vec<Reader> = options
            .list("path")
            .iter()
            .map(|path| Reader::new(path, options.clone(), &from))
            .collect();
        if readers.is_empty() {
            return Err(Error::config(
                "option path names no file",
                "give the path of a file",
            ));
        }
        Ok(Box::new(Files {
            interval: options
                .duration("poll.interval")
                .unwrap_or(Duration::from_millis(200)),
            readers,
            next: 0,
            context,
        }))
    }
}

/// The files of one task, read in turns.
struct Files {
    readers: Vec<Reader>,
    /// The reader to look at first.
    next: usize,
    interval: Duration,
    context: Context,
}

#[async_trait]
impl Source for Files {
    async fn poll(&mut self) -> Result<Option<SourceBatch>, Error> {
        loop {
            let mut ended = 0;
            for turn in 0..self.readers.len() {
                let index = (self.next + turn) % self.readers.len();
                match self.readers[index].look(&self.context).await? {
                    Look::Batch(batch) => {
                        // Stay with a file while it has something: its lines arrive together.
                        self.next = index;
                        return Ok(Some(batch));
                    }
                    Look::Nothing => {}
                    Look::Ended => ended += 1,
                }
            }
            if ended == self.readers.len() {
                return Ok(None);
            }
            if self.readers.len() > 1 {
                self.next = (self.next + 1) % self.readers.len();
            }
            self.context.clock.sleep(self.interval).await;
        }
    }
}

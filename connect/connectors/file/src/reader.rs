//! One file being read: where it is, which file it is, and what happens at its end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use connect_sdk::{Context, Error, Options, Poisoned, Positions, RawRecord, Records, SourceBatch};
use format::{CsvRecord, CsvRecords};
use runtime::{File, FileId, Open};

use crate::locate::{find, lines_before, read_up_to};
use crate::options::{FileFormat, csv_options, file_format};
use crate::position::{Stored, partition};
use crate::splitter::Splitter;

/// Bytes fetched by one read.
const CHUNK: usize = 1 << 20;
/// A header longer than this is none.
const HEADER_LIMIT: usize = 1 << 20;

/// What a look at the file found.
pub(crate) enum Look {
    /// Records.
    Batch(SourceBatch),
    /// Nothing now; there may be more later.
    Nothing,
    /// The end of a file that is read to its end.
    Ended,
}

/// Reads one path, through every file that takes the name in turn.
pub(crate) struct Reader {
    path: PathBuf,
    shown: String,
    options: Options,
    bounded: bool,
    /// Where reading stands by the stored position; used up when a file is opened.
    stored: Option<Stored>,
    open: Option<Opened>,
}

struct Opened {
    file: Arc<dyn File>,
    id: FileId,
    splitter: Splitter,
    /// Byte offset of the first record not yet handed out, and the lines before it.
    position: u64,
    line: u64,
    /// The bytes from there on, as far as they were fetched.
    buffer: Vec<u8>,
    /// More bytes than this are no record.
    longest: usize,
    /// What comes up to the next line end is the rest of something too long for a record.
    inside: bool,
    /// The path names another file by now; this one is read to its end and left.
    replaced: bool,
}

/// What the disk said, collected by one blocking call.
enum Fetched {
    Bytes(Vec<u8>),
    /// The end, and which file the path names now.
    End {
        now: Option<FileId>,
        len: u64,
    },
}

impl Reader {
    pub(crate) fn new(path: &str, options: Options, from: &Positions) -> Self {
        let bounded = options.text("mode") == Some("bounded");
        let stored = from
            .get(&partition(path))
            .and_then(|offset| Stored::read(offset).ok());
        Self {
            path: PathBuf::from(path),
            shown: path.to_owned(),
            options,
            bounded,
            stored,
            open: None,
        }
    }

    /// Hands out the next records, fetching bytes if there are none left. Nothing is taken
    /// from the reader before the last await, so the future may be dropped.
    pub(crate) async fn look(&mut self, context: &Context) -> Result<Look, Error> {
        if self.open.is_none() && !self.open_file(context).await? {
            return Ok(Look::Nothing);
        }
        let limit = self.options.integer("batch.rows").unwrap_or(2_000) as usize;
        loop {
            let (bounded, shown) = (self.bounded, self.shown.clone());
            let opened = self.open.as_mut().expect("opened above");
            if let Some(batch) = opened.take(&shown, false, limit) {
                return Ok(Look::Batch(batch));
            }
            match opened.fetch(&self.path, context).await? {
                Fetched::Bytes(bytes) => opened.buffer.extend_from_slice(&bytes),
                Fetched::End { len, .. } if len < opened.position => {
                    tracing::warn!(
                        path = shown,
                        len,
                        position = opened.position,
                        "the file was cut, reading starts over"
                    );
                    self.open = None;
                    return Ok(Look::Nothing);
                }
                Fetched::End { now, .. } => {
                    let replaced = now.is_some_and(|id| id != opened.id);
                    if !bounded && !replaced {
                        return Ok(Look::Nothing);
                    }
                    if replaced && !opened.replaced {
                        // It may have grown between the last read and the renaming.
                        opened.replaced = true;
                        continue;
                    }
                    if let Some(batch) = opened.take(&shown, true, limit) {
                        return Ok(Look::Batch(batch));
                    }
                    if !replaced {
                        return Ok(Look::Ended);
                    }
                    tracing::info!(
                        path = shown,
                        "the path names another file now, reading goes on there"
                    );
                    self.open = None;
                    if !self.open_file(context).await? {
                        return Ok(Look::Nothing);
                    }
                }
            }
        }
    }

    /// Opens the file to go on in: the one that was read last if it is still there under
    /// another name, else the one the path names. False if there is none yet.
    async fn open_file(&mut self, context: &Context) -> Result<bool, Error> {
        let (disk, path, stored) = (context.disk.clone(), self.path.clone(), self.stored);
        let found = context
            .tasks
            .blocking("connector-file open", move || {
                find(disk.as_ref(), &path, stored)
            })
            .await
            .map_err(|error| Error::transient(error.to_string()))?;
        let (file, id, len) = match found {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.bounded => {
                return Ok(false);
            }
            Err(error) => return Err(disk_error(&self.shown, "opened", &error)),
        };
        let stored = match self.stored {
            Some(stored) if stored.is_in(id) && stored.position <= len => Some(stored),
            Some(stored) => {
                tracing::warn!(
                    path = self.shown,
                    ?stored,
                    "the file read last is gone or was cut, reading starts over"
                );
                None
            }
            None => None,
        };
        let mut opened = Opened {
            file,
            id,
            splitter: Splitter::JsonLines,
            position: 0,
            line: 0,
            buffer: Vec::new(),
            longest: self.options.bytes("record.max").unwrap_or(4 << 20) as usize,
            inside: false,
            replaced: false,
        };
        if !opened.prepare(&self.shown, &self.options, context).await? {
            return Ok(false);
        }
        if let Some(stored) = stored {
            opened.go_to(stored, &self.shown, context).await?;
        }
        self.stored = None;
        self.open = Some(opened);
        Ok(true)
    }
}

impl Opened {
    /// Reads the header where there is one and makes the splitter. False if the header is not
    /// complete yet.
    async fn prepare(
        &mut self,
        shown: &str,
        options: &Options,
        context: &Context,
    ) -> Result<bool, Error> {
        let schema = options.columns("schema");
        match file_format(options, shown)? {
            FileFormat::Csv => {}
            FileFormat::JsonLines => {
                self.splitter = Splitter::json_lines(schema)?;
                return Ok(true);
            }
            FileFormat::Lines => {
                self.splitter = Splitter::Lines;
                return Ok(true);
            }
        }
        let csv = csv_options(options)?;
        if !options.boolean("csv.header") {
            self.splitter = Splitter::csv(csv, None, schema)?;
            return Ok(true);
        }
        let bounded = options.text("mode") == Some("bounded");
        let file = self.file.clone();
        let start = context
            .tasks
            .blocking("connector-file header", move || {
                read_up_to(file.as_ref(), HEADER_LIMIT)
            })
            .await
            .map_err(|error| Error::transient(error.to_string()))?
            .map_err(|error| disk_error(shown, "read", &error))?;
        let mut record = CsvRecord::default();
        let whole = bounded || start.len() == HEADER_LIMIT;
        let Some(took) = CsvRecords::new(&csv).next(&start, whole, &mut record) else {
            if bounded {
                // An empty file has no rows either.
                self.splitter = Splitter::JsonLines;
                return Ok(true);
            }
            return Ok(false);
        };
        let names: Vec<String> = record
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        self.splitter =
            Splitter::csv(csv, Some(&names), schema).map_err(|error| with_path(shown, error))?;
        self.position = took as u64;
        self.line = memchr::memchr_iter(b'\n', &start[..took]).count() as u64;
        Ok(true)
    }

    /// Goes on at a stored position; a header is never read as a record.
    async fn go_to(&mut self, stored: Stored, shown: &str, context: &Context) -> Result<(), Error> {
        if stored.position <= self.position {
            return Ok(());
        }
        let line = match stored.line {
            Some(line) => line,
            None => {
                let file = self.file.clone();
                let counting = move || lines_before(file.as_ref(), stored.position);
                let counted = context.tasks.blocking("connector-file lines", counting);
                let counted = counted.await;
                counted
                    .map_err(|error| Error::transient(error.to_string()))?
                    .map_err(|error| disk_error(shown, "read", &error))?
            }
        };
        (self.position, self.line) = (stored.position, line);
        self.inside = stored.inside;
        Ok(())
    }

    async fn fetch(&self, path: &Path, context: &Context) -> Result<Fetched, Error> {
        let (file, disk, path) = (self.file.clone(), context.disk.clone(), path.to_owned());
        let shown = path.display().to_string();
        let at = self.position + self.buffer.len() as u64;
        context
            .tasks
            .blocking("connector-file read", move || -> io::Result<Fetched> {
                let mut bytes = vec![0; CHUNK];
                let read = file.pread(&mut bytes, at)?;
                if read > 0 {
                    bytes.truncate(read);
                    return Ok(Fetched::Bytes(bytes));
                }
                let now = match disk.open(&path, Open::Read) {
                    Ok(file) => Some(file.id()?),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => return Err(error),
                };
                Ok(Fetched::End {
                    now,
                    len: file.len()?,
                })
            })
            .await
            .map_err(|error| Error::transient(error.to_string()))?
            .map_err(|error| disk_error(&shown, "read", &error))
    }

    /// Takes whole records from the buffer, if it holds any.
    fn take(&mut self, shown: &str, last: bool, limit: usize) -> Option<SourceBatch> {
        if self.buffer.is_empty() {
            return None;
        }
        if self.inside {
            return self.take_broken(shown, last);
        }
        let first = self.line + 1;
        let split = self.splitter.split(&self.buffer, last, limit, |lines| {
            format!("{shown} line {}", first + lines)
        });
        if split.taken == 0 {
            let is_broken = self.buffer.len() >= self.longest;
            return is_broken.then(|| self.take_broken(shown, last)).flatten();
        }
        self.advance(split.taken, split.lines);
        Some(self.batch(shown, split.records, split.poisoned))
    }

    /// Takes what is too long for a record as a broken one, in parts up to the next line end:
    /// none of them is read as a record. `None` if more has to be fetched first.
    fn take_broken(&mut self, shown: &str, last: bool) -> Option<SourceBatch> {
        let longest = self.longest;
        let line_end = memchr::memchr(b'\n', &self.buffer).map(|at| at + 1);
        let end = match line_end {
            Some(end) if end <= longest => end,
            _ if last || self.buffer.len() >= longest => self.buffer.len().min(longest),
            _ => return None,
        };
        let why = match self.inside {
            false => format!("no record ends within {longest} bytes"),
            true => format!("it is the rest of what has no end within {longest} bytes"),
        };
        let poisoned = Poisoned {
            original: Bytes::copy_from_slice(&self.buffer[..end]),
            place: format!("{shown} line {}", self.line + 1),
            why,
        };
        self.inside = !poisoned.original.ends_with(b"\n");
        self.advance(end, u64::from(!self.inside));
        let none = Records::Bytes(Vec::<RawRecord>::new());
        Some(self.batch(shown, none, vec![poisoned]))
    }

    fn advance(&mut self, taken: usize, lines: u64) {
        self.buffer.drain(..taken);
        self.position += taken as u64;
        self.line += lines;
    }

    fn batch(&self, shown: &str, records: Records, poisoned: Vec<Poisoned>) -> SourceBatch {
        let mut positions = Positions::new();
        let stored = Stored {
            id: Some(self.id),
            position: self.position,
            line: Some(self.line),
            inside: self.inside,
        };
        positions.set(partition(shown), stored.write());
        SourceBatch {
            records,
            poisoned,
            positions,
            boundary: false,
        }
    }
}

pub(crate) fn disk_error(path: &str, doing: &str, error: &io::Error) -> Error {
    let message = format!("{path} cannot be {doing}: {error}");
    match error.kind() {
        io::ErrorKind::NotFound => Error::config(message, "give the path of a file that exists"),
        io::ErrorKind::PermissionDenied => {
            Error::config(message, "let the user that runs Millstream access it")
        }
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => {
            Error::config(message, "give the path of a file")
        }
        _ => Error::transient(message),
    }
}

fn with_path(path: &str, error: Error) -> Error {
    match error {
        Error::Config { message, hint } => Error::Config {
            message: format!("{path}: {message}"),
            hint,
        },
        other => other,
    }
}

//! Outside tables that rows are looked up in: files, read whole and kept by key.
//!
//! A file is read again when it has another length or is another file: a table of reference data
//! is replaced by renaming a new one over it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::row::{OwnedRow, RowConverter, SortField};
use bytes::Bytes;
use dataflow::TableSpec;
use format::{CsvRecord, CsvRecords, Decoder, Format, Options};
use operators::{Fetched, Lookup, Lookups};
use runtime::{Disk, FileId, Open};

use crate::BoxError;

/// Largest file that is kept in memory.
const LIMIT: u64 = 256 << 20;

/// Opens file tables, their paths below a folder.
#[derive(Clone)]
pub struct FileLookups {
    disk: Arc<dyn Disk>,
    base: PathBuf,
}

impl FileLookups {
    /// Relative paths of tables are below `base`.
    pub fn new(disk: Arc<dyn Disk>, base: PathBuf) -> FileLookups {
        FileLookups { disk, base }
    }
}

impl Lookups for FileLookups {
    fn open(&self, table: &TableSpec, keys: &[usize]) -> Result<Box<dyn Lookup>, BoxError> {
        let path = table
            .options
            .get("path")
            .ok_or("a table for lookups needs the option 'path'")?;
        let mut file = FileTable {
            disk: self.disk.clone(),
            path: self.base.join(path),
            table: table.clone(),
            keys: keys.to_vec(),
            version: 0,
            seen: None,
            loaded: None,
        };
        // Read at once: a table that cannot be read fails the job before its first epoch.
        file.refresh()?;
        Ok(Box::new(file))
    }
}

struct FileTable {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    table: TableSpec,
    /// Positions of the key columns in the table.
    keys: Vec<usize>,
    version: u64,
    seen: Option<(FileId, u64)>,
    loaded: Option<Loaded>,
}

struct Loaded {
    rows: RecordBatch,
    converter: RowConverter,
    by_key: HashMap<OwnedRow, Vec<u32>>,
}

impl Lookup for FileTable {
    fn version(&mut self) -> u64 {
        if let Err(why) = self.refresh() {
            tracing::warn!(path = %self.path.display(), %why, "the lookup table cannot be read again; its last content stays");
        }
        self.version
    }

    fn fetch(&mut self, keys: &[ArrayRef]) -> Result<Fetched, BoxError> {
        let loaded = self
            .loaded
            .as_ref()
            .ok_or("the lookup table was never read")?;
        let asked = loaded.converter.convert_columns(keys)?;
        let (mut positions, mut numbers) = (Vec::new(), Vec::new());
        for (number, key) in asked.iter().enumerate() {
            let found = loaded
                .by_key
                .get(&key.owned())
                .map(Vec::as_slice)
                .unwrap_or_default();
            positions.extend_from_slice(found);
            numbers.extend(std::iter::repeat_n(number as u32, found.len()));
        }
        let rows = take_record_batch(&loaded.rows, &UInt32Array::from(positions))?;
        Ok(Fetched {
            rows,
            keys: numbers,
        })
    }
}

impl FileTable {
    fn refresh(&mut self) -> Result<(), BoxError> {
        let shown = self.path.display();
        let file = self
            .disk
            .open(&self.path, Open::Read)
            .map_err(|why| format!("cannot open {shown}: {why}"))?;
        let now = (file.id()?, file.len()?);
        if self.seen == Some(now) {
            return Ok(());
        }
        if now.1 > LIMIT {
            return Err(format!(
                "{shown} has {} bytes, a lookup table may have {LIMIT}",
                now.1
            )
            .into());
        }
        let content = self
            .disk
            .read(&self.path)
            .map_err(|why| format!("cannot read {shown}: {why}"))?;
        let rows = decode(&self.table, &self.path, content.into())?;
        self.loaded = Some(index(rows, &self.keys)?);
        self.seen = Some(now);
        self.version += 1;
        Ok(())
    }
}

/// The table's rows out of the file's bytes; a row that cannot be read is an error with its line.
fn decode(table: &TableSpec, path: &Path, content: Bytes) -> Result<RecordBatch, BoxError> {
    let format: Format = table
        .options
        .get("format")
        .map_or("csv", String::as_str)
        .parse()?;
    let prefix = format!("{format}.");
    let own = |key: &String| {
        key.strip_prefix(&prefix)
            .filter(|key| *key != "header")
            .map(str::to_owned)
    };
    let given = table
        .options
        .iter()
        .filter_map(|(key, value)| Some((own(key)?, value.clone())))
        .collect();
    let options = Options::parse(format, &given)?;
    let records = match format {
        Format::Csv => csv_records(table, &content, &options)?,
        Format::Json | Format::Raw => lines(&content),
    };
    let mut decoder = Decoder::new(format, table.physical_schema(), options)?;
    let (rows, undecodable) = decoder.decode(&records);
    match undecodable.first() {
        Some(bad) => Err(io::Error::other(format!(
            "{}: record {}: {}",
            path.display(),
            bad.row + 1,
            bad.why
        ))
        .into()),
        None => Ok(rows),
    }
}

fn lines(content: &Bytes) -> Vec<Bytes> {
    let lines = content
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines
        .filter(|line| !line.is_empty())
        .map(|line| content.slice_ref(line))
        .collect()
}

/// Whole records without the header line, which must name the table's columns in their order.
fn csv_records(
    table: &TableSpec,
    content: &Bytes,
    options: &Options,
) -> Result<Vec<Bytes>, BoxError> {
    let mut reader = CsvRecords::new(&options.csv);
    let mut record = CsvRecord::default();
    let mut records = Vec::new();
    let mut at = 0;
    let mut header = table
        .options
        .get("header")
        .is_none_or(|header| header == "true");
    while let Some(taken) = reader.next(&content[at..], true, &mut record) {
        if taken == 0 {
            break;
        }
        if std::mem::take(&mut header) {
            check_header(table, &record)?;
        } else if !record.is_empty() {
            records.push(content.slice(at..at + taken));
        }
        at += taken;
    }
    Ok(records)
}

fn check_header(table: &TableSpec, header: &CsvRecord) -> Result<(), BoxError> {
    let found: Vec<_> = header
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim().to_owned())
        .collect();
    let schema = table.physical_schema();
    let wanted: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    if found == wanted {
        return Ok(());
    }
    Err(format!(
        "table {} has the columns {}, the file's first line says {}",
        table.name,
        wanted.join(", "),
        found.join(", ")
    )
    .into())
}

fn index(rows: RecordBatch, keys: &[usize]) -> Result<Loaded, BoxError> {
    let columns: Vec<ArrayRef> = keys.iter().map(|key| rows.column(*key).clone()).collect();
    let fields = columns
        .iter()
        .map(|column| SortField::new(column.data_type().clone()))
        .collect();
    let converter = RowConverter::new(fields)?;
    let mut by_key: HashMap<OwnedRow, Vec<u32>> = HashMap::new();
    for (position, key) in converter.convert_columns(&columns)?.iter().enumerate() {
        // A null key matches nothing.
        if columns.iter().all(|column| column.is_valid(position)) {
            by_key.entry(key.owned()).or_default().push(position as u32);
        }
    }
    Ok(Loaded {
        rows,
        converter,
        by_key,
    })
}

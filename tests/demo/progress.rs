//! How far a demo is, seen from outside: by what its log and its sink's folder hold.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use model::record;

/// Looks into a demo's data folder while it runs.
pub struct Progress {
    data: PathBuf,
    /// Where the log was not yet written at the last look.
    end: u64,
    /// Messages of the topic of flights before that.
    pub flights: u64,
    /// Messages of the topic of results before that.
    pub results: u64,
}

/// Read at a time.
const CHUNK: usize = 1 << 20;

impl Progress {
    pub fn of(data: &Path) -> Progress {
        Progress {
            data: data.to_owned(),
            end: 0,
            flights: 0,
            results: 0,
        }
    }

    /// Reads what has come since the last look; true if anything has.
    pub fn look(&mut self) -> bool {
        let segment = self.data.join("store/commitlog/00000000000000000000");
        let Ok(log) = File::open(segment) else {
            return false;
        };
        let before = self.end;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = log
                .read_at(&mut chunk, self.end)
                .expect("the log can be read");
            let mut at = 0;
            // Behind the last record are zeros, and a record cut by the chunk's end comes again.
            while let Ok(record) = record::view(&chunk[at..read]) {
                match record.topic {
                    "flights" => self.flights += 1,
                    "airport_delays" => self.results += 1,
                    _ => {}
                }
                at += record.size() as usize;
            }
            self.end += at as u64;
            if at == 0 {
                return self.end > before;
            }
        }
    }

    /// The names of the files that the sink has finished.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let entries = std::fs::read_dir(self.data.join("airport-delays"));
        for entry in entries.into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|kind| kind == "jsonl") {
                found.push(path);
            }
        }
        found
    }
}

//! How fast bytes reach the disk, over a file whose space has been written before.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use crate::clock::{now, own_cpu};

const BYTES: u64 = 512 << 20;
const CHUNK: usize = 1 << 20;
/// Longest time for the flushes of one size.
const FLUSHING: u64 = 500_000_000;
const FLUSHES: usize = 2_000;
const WRITTEN: u64 = 64 << 20;

/// A file of zeros, kept in its folder from one round of probing to the next.
pub struct Recycled {
    pub(super) file: File,
}

impl Recycled {
    pub fn open(folder: &Path) -> Result<Recycled> {
        let path = folder.join("probe");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        let zeros = vec![0; CHUNK];
        for at in (file.metadata()?.len()..BYTES).step_by(CHUNK) {
            file.write_all_at(&zeros, at)?;
        }
        file.sync_all()?;
        Ok(Recycled { file })
    }

    /// µs for `size` bytes written and flushed, one after the other: p50 and p99.
    pub fn flush(&self, size: usize) -> Result<(f64, f64)> {
        let bytes = vec![7; size];
        let mut times = Histogram::<u64>::new(3)?;
        let begun = now();
        for at in (0..BYTES).step_by(size).take(FLUSHES) {
            let before = now();
            self.file.write_all_at(&bytes, at)?;
            self.file.sync_data()?;
            let after = now();
            times.record(after - before)?;
            if after - begun > FLUSHING {
                break;
            }
        }
        let micros = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        Ok((micros(0.5), micros(0.99)))
    }

    /// MB/s of writing the whole file in order, the flush at the end included.
    pub fn durable(&self) -> Result<f64> {
        let bytes = vec![9; CHUNK];
        let before = now();
        for at in (0..BYTES).step_by(CHUNK) {
            self.file.write_all_at(&bytes, at)?;
        }
        self.file.sync_data()?;
        Ok(BYTES as f64 * 1e3 / (now() - before) as f64)
    }

    /// CPU ns for one KiB, in calls of `size` bytes.
    pub fn pwrite(&self, size: usize) -> Result<f64> {
        let bytes = vec![5; size];
        let before = own_cpu();
        for at in (0..WRITTEN).step_by(size) {
            self.file.write_all_at(&bytes, at)?;
        }
        Ok((own_cpu() - before) * 1e9 / (WRITTEN >> 10) as f64)
    }
}

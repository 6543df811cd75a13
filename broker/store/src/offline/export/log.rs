//! Copies the log: whole segments as they are, the last one as far as it is written.
//!
//! What lies behind the end stays behind: in space that was used before, old records lie there,
//! and RocketMQ does not ask a record whether it belongs where it lies.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime::{Disk, File, Open};

use super::placeholder::Placeholder;
use super::refusal::ExportError;
use super::target::Target;
use super::writing;
use crate::segment::{Segment, file_name};

/// Bytes copied at a time. Where they are all zeros the copy has a hole.
const CHUNK: u64 = 1 << 20;

/// The one size that all segments have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fit {
    pub segment_bytes: u64,
}

impl Fit {
    /// RocketMQ divides an offset by the size to find its segment, so all must have one size
    /// and lie at multiples of it. `otherwise` is the size where there is no segment.
    pub(super) fn of(
        root: &Path,
        segments: &[Arc<Segment>],
        end: u64,
        otherwise: u64,
    ) -> Result<Self, ExportError> {
        let refused = |why| ExportError::Segments {
            path: root.to_owned(),
            why,
        };
        let used: Vec<_> = segments
            .iter()
            .filter(|segment| segment.start < end)
            .collect();
        let size = used.first().map_or(otherwise, |first| first.len);
        if let Some(other) = used.iter().find(|segment| segment.len != size) {
            return Err(refused(format!(
                "{} has {} bytes, {} has {size}; it needs all of one size",
                file_name(other.start),
                other.len,
                file_name(used[0].start),
            )));
        }
        if let Some(first) = used
            .first()
            .filter(|first| !first.start.is_multiple_of(size))
        {
            return Err(refused(format!(
                "{} does not begin at a multiple of their size, {size} bytes",
                file_name(first.start)
            )));
        }
        if size == 0 || size > i32::MAX as u64 {
            return Err(refused(format!(
                "they have {size} bytes, the largest it takes have {}",
                i32::MAX
            )));
        }
        Ok(Self {
            segment_bytes: size,
        })
    }
}

pub(super) struct LogCopy {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    segment_bytes: u64,
}

impl LogCopy {
    pub(super) fn of(target: &Target, fit: &Fit) -> Self {
        Self {
            disk: target.disk().clone(),
            folder: target.root().join("commitlog"),
            segment_bytes: fit.segment_bytes,
        }
    }

    /// Copies the log up to `end`. Returns how many segments there are, and how many of them
    /// take no space of their own.
    pub(super) fn write(
        &self,
        segments: &[Arc<Segment>],
        end: u64,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(u64, u64), ExportError> {
        self.disk.create_dir_all(&self.folder).map_err(writing)?;
        let begin = segments.first().map_or(end, |first| first.start);
        let (mut copied, mut shared) = (0, 0);
        for segment in segments.iter().filter(|segment| segment.start < end) {
            progress(segment.start - begin, end - begin);
            let whole = segment.end() <= end;
            copied += 1;
            if whole && self.share(segment)? {
                shared += 1;
                continue;
            }
            let upto = segment.end().min(end) - segment.start;
            let file = self.make(segment.start)?;
            copy_bytes(
                segment.file.as_ref(),
                file.as_ref(),
                upto,
                CHUNK,
                &mut |at| progress(segment.start + at - begin, end - begin),
            )
            .and_then(|()| file.fdatasync())
            .map_err(writing)?;
        }
        if end > begin && end.is_multiple_of(self.segment_bytes) {
            // RocketMQ takes a full last segment for one that it may go on writing in.
            self.make(end)?.fdatasync().map_err(writing)?;
            copied += 1;
        }
        self.disk.fsync_dir(&self.folder).map_err(writing)?;
        progress(end - begin, end - begin);
        Ok((copied, shared))
    }

    /// Puts the placeholder behind a log that ends at `end`. Returns where it ends then.
    pub(super) fn append(&self, end: u64, placeholder: &Placeholder) -> Result<u64, ExportError> {
        let blank = placeholder.blank(end);
        let pieces = [
            blank.as_ref().map(|blank| (end, &blank[..])),
            Some((placeholder.at, &placeholder.bytes[..])),
        ];
        for (at, bytes) in pieces.into_iter().flatten() {
            let within = at % self.segment_bytes;
            let file = self.make(at - within)?;
            file.write_all_at(bytes, within)
                .and_then(|()| file.fdatasync())
                .map_err(writing)?;
        }
        self.disk.fsync_dir(&self.folder).map_err(writing)?;
        Ok(placeholder.at + placeholder.bytes.len() as u64)
    }

    fn share(&self, segment: &Segment) -> Result<bool, ExportError> {
        let to = self.folder.join(file_name(segment.start));
        if !self.disk.share(&segment.path, &to).map_err(writing)? {
            return Ok(false);
        }
        let file = self.disk.open(&to, Open::Write).map_err(writing)?;
        file.fdatasync().map_err(writing)?;
        Ok(true)
    }

    /// The file of a segment, made of zeros if it is missing.
    fn make(&self, start: u64) -> Result<Arc<dyn File>, ExportError> {
        let path = self.folder.join(file_name(start));
        let file = self.disk.open(&path, Open::Create).map_err(writing)?;
        file.set_len(self.segment_bytes).map_err(writing)?;
        Ok(file)
    }
}

/// Copies the first `len` bytes into a file that has none but zeros.
pub(super) fn copy_bytes(
    from: &dyn File,
    to: &dyn File,
    len: u64,
    chunk: u64,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < len {
        bytes.resize((len - at).min(chunk) as usize, 0);
        from.read_exact_at(&mut bytes, at)?;
        if bytes.iter().any(|byte| *byte != 0) {
            to.write_all_at(&bytes, at)?;
        }
        at += bytes.len() as u64;
        progress(at);
    }
    Ok(())
}

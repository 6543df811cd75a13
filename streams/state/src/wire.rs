//! The small binary form of records that the store keeps about a job: lengths, numbers, bytes.

use crate::Error;

/// Appends fields to a record.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn count(&mut self, count: usize) {
        let count = u32::try_from(count).expect("a record about a job has fewer than 2^32 parts");
        self.0.extend_from_slice(&count.to_be_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Takes a record apart. Never reads past its end.
pub(crate) struct Reader<'a> {
    what: &'static str,
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, left: bytes }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Error> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn count(&mut self) -> Result<usize, Error> {
        Ok(u32::from_be_bytes(self.array()?) as usize)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = self.count()?;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<String, Error> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| self.corrupt("a name is not UTF-8"))
    }

    /// Nothing may follow the last field.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.left.is_empty() {
            Ok(())
        } else {
            Err(self.corrupt("bytes follow its end"))
        }
    }

    pub(crate) fn corrupt(&self, why: &str) -> Error {
        Error::Corrupt {
            what: self.what,
            why: why.to_owned(),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        Ok(self
            .take(N)?
            .try_into()
            .expect("take returns as many bytes as asked"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, left) = self
            .left
            .split_at_checked(length)
            .ok_or_else(|| self.corrupt("it ends early"))?;
        self.left = left;
        Ok(taken)
    }
}

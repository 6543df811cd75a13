//! One connection that never blocks: bytes that wait to go, bytes that have come.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, bail};
use bytes::{Buf, BytesMut};
use protocol::Frame;

/// Bytes asked for at once.
const READ: usize = 256 << 10;

pub struct Link {
    stream: TcpStream,
    pub out: BytesMut,
    input: BytesMut,
    /// All bytes that have come so far.
    pub received: u64,
}

impl Link {
    pub fn connect(address: SocketAddr) -> Result<Link> {
        let stream = TcpStream::connect(address)
            .with_context(|| format!("no broker is reached at {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Link {
            stream,
            out: BytesMut::new(),
            input: BytesMut::new(),
            received: 0,
        })
    }

    /// Writes what the kernel takes; true if something is left.
    pub fn flush(&mut self) -> Result<bool> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(written) => self.out.advance(written),
                Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => return Err(why).context("the broker closed a connection"),
            }
        }
        Ok(false)
    }

    /// Reads once; what came is cut into frames by [`Link::frame`].
    pub fn fill(&mut self) -> Result<()> {
        let start = self.input.len();
        self.input.resize(start + READ, 0);
        let read = self.stream.read(&mut self.input[start..]);
        let count = match read {
            Ok(0) => bail!("the broker closed a connection"),
            Ok(count) => count,
            Err(why) if why.kind() == ErrorKind::WouldBlock => 0,
            Err(why) => return Err(why).context("the broker closed a connection"),
        };
        self.input.truncate(start + count);
        self.received += count as u64;
        Ok(())
    }

    /// The next whole frame that has come.
    pub fn frame(&mut self) -> Result<Option<BytesMut>> {
        match Frame::length(&self.input)? {
            Some(length) if length <= self.input.len() => Ok(Some(self.input.split_to(length))),
            _ => Ok(None),
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

//! A connection, whole or in its two halves.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::pipe::Pipe;

/// A connection. Dropping it closes it.
pub struct Stream {
    link: Link,
}

enum Link {
    Tcp(TcpStream),
    Pipes(PipeReader, PipeWriter),
}

/// What arrives on a connection.
pub struct ReadHalf {
    link: ReadLink,
}

enum ReadLink {
    Tcp(OwnedReadHalf),
    Pipe(PipeReader),
}

/// What leaves by a connection. Dropping it tells the peer that no more will come.
pub struct WriteHalf {
    link: WriteLink,
}

enum WriteLink {
    Tcp(OwnedWriteHalf),
    Pipe(PipeWriter),
}

struct PipeReader {
    pipe: Pipe,
    ends: Ends,
}

struct PipeWriter {
    pipe: Pipe,
}

/// The addresses of a connection inside this process.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

impl Stream {
    pub(super) fn tcp(stream: TcpStream) -> io::Result<Stream> {
        stream.set_nodelay(true)?;
        Ok(Stream {
            link: Link::Tcp(stream),
        })
    }

    pub(super) fn pipes(incoming: Pipe, outgoing: Pipe, ends: Ends) -> Stream {
        Stream {
            link: Link::Pipes(
                PipeReader {
                    pipe: incoming,
                    ends,
                },
                PipeWriter { pipe: outgoing },
            ),
        }
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.link {
            Link::Tcp(stream) => stream.local_addr(),
            Link::Pipes(reader, _) => Ok(reader.ends.local),
        }
    }

    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.link {
            Link::Tcp(stream) => stream.peer_addr(),
            Link::Pipes(reader, _) => Ok(reader.ends.peer),
        }
    }

    /// Whether the bytes pass through the kernel.
    pub fn is_tcp(&self) -> bool {
        matches!(self.link, Link::Tcp(_))
    }

    /// Two halves for two tasks, without a lock between them on TCP.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self.link {
            Link::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (
                    ReadHalf {
                        link: ReadLink::Tcp(reader),
                    },
                    WriteHalf {
                        link: WriteLink::Tcp(writer),
                    },
                )
            }
            Link::Pipes(reader, writer) => (
                ReadHalf {
                    link: ReadLink::Pipe(reader),
                },
                WriteHalf {
                    link: WriteLink::Pipe(writer),
                },
            ),
        }
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.pipe.abandon();
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.pipe.end();
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.link {
            Link::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            Link::Pipes(reader, _) => reader.pipe.poll_read(context, into),
        }
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.link {
            ReadLink::Tcp(stream) => Pin::new(stream).poll_read(context, into),
            ReadLink::Pipe(reader) => reader.pipe.poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.link {
            Link::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Link::Pipes(_, writer) => writer.pipe.poll_write(context, &[IoSlice::new(bytes)]),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.link {
            Link::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Link::Pipes(_, writer) => writer.pipe.poll_write(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            Link::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Link::Pipes(..) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            Link::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Link::Pipes(_, writer) => {
                writer.pipe.end();
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.link {
            WriteLink::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            WriteLink::Pipe(writer) => writer.pipe.poll_write(context, &[IoSlice::new(bytes)]),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.link {
            WriteLink::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            WriteLink::Pipe(writer) => writer.pipe.poll_write(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            WriteLink::Tcp(stream) => Pin::new(stream).poll_flush(context),
            WriteLink::Pipe(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.link {
            WriteLink::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            WriteLink::Pipe(writer) => {
                writer.pipe.end();
                Poll::Ready(Ok(()))
            }
        }
    }
}

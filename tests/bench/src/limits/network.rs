//! What loopback TCP does between the cores of generator and broker.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::clock::now;
use crate::cores::on;

const SMALL: usize = 64;
const ROUND_TRIPS: usize = 5_000;
const CHUNK: usize = 256 << 10;
const STREAMED: u64 = 1 << 29;
/// Longest time for the stream, in nanoseconds.
const STREAMING: u64 = 1_000_000_000;

/// µs there and back for 64 bytes, at the median.
pub fn round_trip(near: Option<usize>, far: Option<usize>) -> Result<f64> {
    with_peer(near, far, echo, |mut stream| {
        let mut buffer = [1; SMALL];
        let mut times = Histogram::<u64>::new(3)?;
        for _ in 0..ROUND_TRIPS {
            let before = now();
            stream.write_all(&buffer)?;
            stream.read_exact(&mut buffer)?;
            times.record(now() - before)?;
        }
        Ok(times.value_at_quantile(0.5) as f64 / 1e3)
    })
}

/// MB/s from here to there.
pub fn stream(near: Option<usize>, far: Option<usize>) -> Result<f64> {
    with_peer(near, far, swallow, |mut stream| {
        let buffer = vec![1; CHUNK];
        let (before, mut sent) = (now(), 0);
        while sent < STREAMED && now() - before < STREAMING {
            stream.write_all(&buffer)?;
            sent += CHUNK as u64;
        }
        Ok(sent as f64 * 1e3 / (now() - before) as f64)
    })
}

/// Runs `peer` on a thread of its own on the core `far`, until our side of the stream is gone.
pub(super) fn with_peer(
    near: Option<usize>,
    far: Option<usize>,
    peer: impl FnOnce(TcpStream) -> Result<()> + Send + 'static,
    own: impl FnOnce(TcpStream) -> Result<f64>,
) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let other = std::thread::spawn(move || {
        on(far, || {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            peer(stream)
        })
    });
    let figure = on(near, || {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        own(stream)
    })?;
    other.join().expect("the other side does not panic")?;
    Ok(figure)
}

/// Answers each request of `REQUEST` bytes with what `work` makes of it, until there are no more.
pub(super) fn serve<const REQUEST: usize, const ANSWER: usize>(
    mut stream: TcpStream,
    mut work: impl FnMut([u8; REQUEST]) -> Result<[u8; ANSWER]>,
) -> Result<()> {
    let mut request = [0; REQUEST];
    loop {
        match stream.read_exact(&mut request) {
            Err(why) if why.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        stream.write_all(&work(request)?)?;
    }
}

fn echo(stream: TcpStream) -> Result<()> {
    serve::<SMALL, SMALL>(stream, Ok)
}

fn swallow(mut stream: TcpStream) -> Result<()> {
    let mut buffer = vec![0; CHUNK];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

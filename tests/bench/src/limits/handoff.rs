//! What it costs that one thread wakes another.

use std::os::fd::OwnedFd;

use anyhow::Result;
use hdrhistogram::Histogram;
use rustix::event::{EventfdFlags, eventfd as make_eventfd};
use rustix::io::{read, write};
use rustix::pipe::pipe as make_pipe;

use crate::clock::now;
use crate::cores::on;

const TIMES: usize = 5_000;
/// What an eventfd takes: a number above zero.
const ONE: [u8; 8] = 1u64.to_ne_bytes();

/// One way between two threads: where it is written and where it is read.
struct Way {
    write: OwnedFd,
    read: OwnedFd,
}

/// µs there and back over two eventfds, at the median.
pub fn eventfd(near: Option<usize>, far: Option<usize>) -> Result<f64> {
    let way = || -> Result<Way> {
        let write = make_eventfd(0, EventfdFlags::CLOEXEC)?;
        let read = write.try_clone()?;
        Ok(Way { write, read })
    };
    ping_pong(way()?, way()?, near, far)
}

/// The same over two pipes.
pub fn pipe(near: Option<usize>, far: Option<usize>) -> Result<f64> {
    let way = || -> Result<Way> {
        let (read, write) = make_pipe()?;
        Ok(Way { write, read })
    };
    ping_pong(way()?, way()?, near, far)
}

fn ping_pong(there: Way, back: Way, near: Option<usize>, far: Option<usize>) -> Result<f64> {
    let (there_end, back_end) = (there.read, back.write);
    let other = std::thread::spawn(move || {
        on(far, || {
            for _ in 0..TIMES {
                read(&there_end, &mut [0; 8])?;
                write(&back_end, &ONE)?;
            }
            Ok(())
        })
    });
    let median = on(near, || {
        let mut times = Histogram::<u64>::new(3)?;
        for _ in 0..TIMES {
            let before = now();
            write(&there.write, &ONE)?;
            read(&back.read, &mut [0; 8])?;
            times.record(now() - before)?;
        }
        Ok(times.value_at_quantile(0.5) as f64 / 1e3)
    })?;
    other.join().expect("the other thread does not panic")?;
    Ok(median)
}

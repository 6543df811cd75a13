//! What a server reaches that does nothing but receive, write, flush and answer, for one client
//! that waits for each answer.
//!
//! A disk takes longer for a flush when it has had a pause, and with one such client it has one
//! after every flush: the flushes of the other probes follow each other at once.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::FileExt;

use anyhow::Result;

use super::network::{serve, with_peer};
use crate::clock::now;

/// Bytes of a request and of the record it becomes, and of an answer: those of a message of 1 KiB.
const REQUEST: usize = 1_258;
const ANSWER: usize = 212;
const REQUESTS: u64 = 4_000;
/// Longest time for all of them, in ns.
const SERVING: u64 = 1_000_000_000;

/// Requests a second that are on the disk before they are answered.
pub fn durable_requests(file: &File, near: Option<usize>, far: Option<usize>) -> Result<f64> {
    let file = file.try_clone()?;
    with_peer(
        near,
        far,
        move |stream| answer(stream, &file),
        |mut stream| {
            let (request, mut answer) = ([1; REQUEST], [0; ANSWER]);
            let (before, mut sent) = (now(), 0);
            while sent < REQUESTS && now() - before < SERVING {
                stream.write_all(&request)?;
                stream.read_exact(&mut answer)?;
                sent += 1;
            }
            Ok(sent as f64 * 1e9 / (now() - before) as f64)
        },
    )
}

fn answer(stream: TcpStream, file: &File) -> Result<()> {
    let mut at = 0;
    serve(stream, |request: [u8; REQUEST]| {
        file.write_all_at(&request, at)?;
        file.sync_data()?;
        at += REQUEST as u64;
        Ok([0; ANSWER])
    })
}

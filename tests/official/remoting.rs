//! The few questions that tests ask a server themselves.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use protocol::headers::{CreateTopic, GetRoute};
use protocol::{ExtFields, Frame, RequestCode};

const PATIENCE: Duration = Duration::from_secs(30);

/// One connection to a broker or name server.
pub struct Remote {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Remote {
    pub fn connect(address: &str) -> Result<Remote> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("nobody listens on {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Remote {
            stream,
            buffer: BytesMut::new(),
        })
    }

    /// Sends a request and waits for what comes back.
    pub fn ask(&mut self, code: RequestCode, ext: ExtFields, body: Bytes) -> Result<Frame> {
        self.send(&Frame::request(code, ext, body))
    }

    pub fn send(&mut self, request: &Frame) -> Result<Frame> {
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes);
        self.stream.write_all(&bytes)?;
        loop {
            while let Some(frame) = Frame::decode(&mut self.buffer)? {
                if frame.header.flag.is_response() && frame.header.opaque == request.header.opaque {
                    return Ok(frame);
                }
            }
            let mut read = [0; 65_536];
            let count = self.stream.read(&mut read)?;
            ensure!(count > 0, "the server closed the connection");
            self.buffer.extend_from_slice(&read[..count]);
        }
    }
}

/// Makes topics, each with its queues, and waits until the name server knows the way to them.
pub fn make_topics(broker: &str, name_server: &str, topics: &[(String, i32)]) -> Result<()> {
    let mut remote = Remote::connect(broker)?;
    for (topic, queues) in topics {
        let header = CreateTopic {
            topic,
            default_topic: "TBW102",
            read_queues: *queues,
            write_queues: *queues,
            permission: 6,
            filter_type: Some("SINGLE_TAG"),
            sys_flag: 0,
            ordered: false,
            attributes: None,
            force: None,
        };
        let made = remote.ask(
            RequestCode::UPDATE_AND_CREATE_TOPIC,
            ExtFields::of(&header),
            Bytes::new(),
        )?;
        ensure!(made.header.code == 0, "{topic}: {}", made.header.remark());
    }
    for (topic, _) in topics {
        route(name_server, topic)?;
    }
    Ok(())
}

/// Waits until the name server knows the way to a topic.
pub fn route(name_server: &str, topic: &str) -> Result<()> {
    let mut names = Remote::connect(name_server)?;
    let header = GetRoute {
        topic,
        standard_json: true,
    };
    let code = RequestCode::GET_ROUTEINFO_BY_TOPIC;
    let begun = Instant::now();
    while names
        .ask(code, ExtFields::of(&header), Bytes::new())?
        .header
        .code
        != 0
    {
        ensure!(
            begun.elapsed() < PATIENCE,
            "no route to {topic} after {PATIENCE:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

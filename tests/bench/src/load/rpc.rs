//! Questions asked one at a time, before and after a run: topics, offsets, addresses.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use protocol::body::{self, ClusterInfo};
use protocol::headers::{
    CreateTopic, GetMaxOffset, OffsetReply, PullFlags, PullMessage, QueueOfTopic,
};
use protocol::{ExtFields, Frame, Language, ReadFields, RequestCode, ResponseCode};

const READ_AND_WRITE: i32 = 6;
/// Longest time for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Rpc {
    stream: TcpStream,
    input: BytesMut,
    opaque: i32,
}

impl Rpc {
    pub fn connect(address: SocketAddr) -> Result<Rpc> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("nothing answers at {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Rpc {
            stream,
            input: BytesMut::new(),
            opaque: 0,
        })
    }

    /// Makes the topic on this broker, or changes it; attributes as `+name=value`.
    pub fn create_topic(
        &mut self,
        topic: &str,
        queues: u32,
        attributes: Option<&str>,
    ) -> Result<()> {
        let queues = i32::try_from(queues)?;
        let header = CreateTopic {
            topic,
            default_topic: "TBW102",
            read_queues: queues,
            write_queues: queues,
            permission: READ_AND_WRITE,
            filter_type: Some("SINGLE_TAG"),
            sys_flag: 0,
            ordered: false,
            attributes,
            force: None,
        };
        let fields = ExtFields::of(&header);
        self.demand(RequestCode::UPDATE_AND_CREATE_TOPIC, fields, Bytes::new())?;
        Ok(())
    }

    /// First offset of a queue and the one behind its last message.
    pub fn bounds(&mut self, topic: &str, queue: u32) -> Result<(u64, u64)> {
        let queue = i32::try_from(queue)?;
        let max = GetMaxOffset {
            topic,
            queue,
            committed: true,
            broker: None,
        };
        let min = QueueOfTopic {
            topic,
            queue,
            broker: None,
        };
        let min = self.offset(RequestCode::GET_MIN_OFFSET, ExtFields::of(&min))?;
        let max = self.offset(RequestCode::GET_MAX_OFFSET, ExtFields::of(&max))?;
        Ok((min, max))
    }

    /// Sends a whole request that was written elsewhere; its answer's code.
    pub fn send(&mut self, request: &[u8]) -> Result<i32> {
        self.stream.write_all(request)?;
        Ok(self.answer()?.header.code)
    }

    /// Whether a queue gives a message from `offset` on, without waiting for one.
    pub fn gives(&mut self, topic: &str, queue: u32, offset: u64) -> Result<bool> {
        let header = PullMessage {
            group: "mill-bench-look",
            topic,
            queue: i32::try_from(queue)?,
            queue_offset: i64::try_from(offset)?,
            max_messages: 1,
            flags: PullFlags::SUBSCRIPTION,
            commit_offset: 0,
            suspend_timeout_ms: 0,
            subscription: Some("*"),
            subscription_version: 0,
            expression_type: Some("TAG"),
            max_message_bytes: None,
            request_source: None,
            proxy_forward_client_id: None,
            broker: None,
        };
        let fields = ExtFields::of(&header);
        let answer = self.demand(RequestCode::PULL_MESSAGE, fields, Bytes::new());
        Ok(answer.is_ok_and(|answer| !answer.body.is_empty()))
    }

    fn offset(&mut self, code: RequestCode, fields: ExtFields) -> Result<u64> {
        let answer = self.demand(code, fields, Bytes::new())?;
        let reply = OffsetReply::read_fields(&answer.header.ext)?;
        // RocketMQ says -1 of a queue that nobody has written to.
        Ok(u64::try_from(reply.offset).unwrap_or(0))
    }

    fn demand(&mut self, code: RequestCode, fields: ExtFields, body: Bytes) -> Result<Frame> {
        self.opaque += 1;
        let mut request = Frame::request(code, fields, body);
        request.header.language = Language::Java;
        request.header.opaque = self.opaque;
        let mut out = BytesMut::new();
        request.encode(&mut out);
        self.stream.write_all(&out)?;
        let answer = self.answer()?;
        if answer.header.response_code() != ResponseCode::SUCCESS {
            let header = &answer.header;
            bail!(
                "request {} got {}: {}",
                code.0,
                header.code,
                header.remark()
            );
        }
        Ok(answer)
    }

    fn answer(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = Frame::decode(&mut self.input)? {
                // Requests of the broker's own, such as that a group has changed, are not for us.
                if frame.header.flag.is_response() {
                    return Ok(frame);
                }
                continue;
            }
            let mut bytes = [0; 16 << 10];
            let count = self.stream.read(&mut bytes).context("no answer came")?;
            if count == 0 {
                bail!("the connection was closed before an answer came");
            }
            self.input.extend_from_slice(&bytes[..count]);
        }
    }
}

/// Address of the only master that a name server knows, and the broker's name.
pub fn only_broker(name_server: &str) -> Result<(SocketAddr, String)> {
    let mut rpc = Rpc::connect(resolve(name_server)?)?;
    let code = RequestCode::GET_BROKER_CLUSTER_INFO;
    let answer = rpc.demand(code, ExtFields::new(), Bytes::new())?;
    let cluster: ClusterInfo = body::decode(&answer.body)?;
    let mut masters = cluster.broker_addr_table.iter().filter_map(|(name, data)| {
        let master = data.broker_addrs.iter().find(|(id, _)| *id == 0)?;
        Some((name.clone(), master.1.clone()))
    });
    match (masters.next(), masters.next()) {
        (Some((name, address)), None) => Ok((resolve(&address)?, name)),
        (None, _) => bail!("{name_server} knows no master"),
        _ => bail!("{name_server} knows several masters: give one by --broker"),
    }
}

pub fn resolve(address: &str) -> Result<SocketAddr> {
    let mut found = address
        .to_socket_addrs()
        .with_context(|| format!("{address} is not host:port"))?;
    found
        .next()
        .with_context(|| format!("{address} has no address"))
}

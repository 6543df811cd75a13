//! `COMMIT_EPOCH`, a request of our own: input offsets and output messages that appear together or not at all.
//!
//! ```text
//! u32 length │ JSON: job, generation, shard, epoch, group, offsets, metadata, outputs │ outputs
//! ```
//! Outputs are cut into sections, each the messages of one queue that follow each other and agree in
//! everything but flag, properties and body; a section is the body of a batch send. The JSON lists the
//! sections with their lengths, so that no byte is left unaccounted for.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use model::{ConsumerGroup, Message, QueueId, QueueOffset, SysFlag, Timestamp, Topic, batch};
use serde::{Deserialize, Serialize};

use crate::{Error, FRAME_LIMIT, body};

/// Most bytes of the whole body: a frame less room for its header.
pub const EPOCH_LIMIT: usize = FRAME_LIMIT - 64 * 1024;
/// Most messages in one epoch.
pub const EPOCH_MESSAGES_LIMIT: usize = 128 * 1024;
/// Most offsets in one epoch.
pub const EPOCH_OFFSETS_LIMIT: usize = 64 * 1024;
/// Most metadata pairs in one epoch.
pub const EPOCH_METADATA_LIMIT: usize = 1024;
/// Longest name of a job, in bytes.
pub const JOB_NAME_LIMIT: usize = 255;
/// Longest JSON part.
const JSON_LIMIT: usize = 8 * 1024 * 1024;

/// What one shard of a job has done in one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitEpoch {
    pub job: String,
    /// Given out by `FENCE_JOB`; an older one is refused.
    pub generation: u64,
    pub shard: u32,
    /// Committing the same epoch again changes nothing.
    pub epoch: u64,
    /// Whose offsets are committed.
    pub group: Option<ConsumerGroup>,
    pub offsets: Vec<(QueueId, QueueOffset)>,
    /// Pairs of key and value to keep with the epoch, such as positions in a source.
    pub metadata: Vec<(String, String)>,
    /// Sent without born host, reconsume times and transaction: the broker sets them. They arrive
    /// queue by queue, each queue's in the order they have here.
    pub outputs: Vec<Message>,
}

/// What became of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochCommitted {
    /// For every queue written to, where its first output is; the others stand right behind it.
    pub appended: Vec<(QueueId, QueueOffset)>,
    /// The epoch had been committed before; nothing was done.
    pub repeated: bool,
}

#[derive(Serialize, Deserialize)]
struct Described {
    epoch: u64,
    generation: u64,
    group: Option<String>,
    job: String,
    #[serde(default)]
    metadata: Vec<Pair>,
    #[serde(default)]
    offsets: Vec<Position>,
    #[serde(default)]
    outputs: Vec<Section>,
    shard: u32,
}

#[derive(Serialize, Deserialize)]
struct Pair {
    key: String,
    value: String,
}

#[derive(Serialize, Deserialize)]
struct Position {
    offset: u64,
    queue: u32,
    topic: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Section {
    born: i64,
    bytes: usize,
    messages: usize,
    queue: u32,
    sys_flag: i32,
    topic: String,
}

#[derive(Serialize, Deserialize)]
struct DescribedResult {
    #[serde(default)]
    appended: Vec<Position>,
    #[serde(default)]
    repeated: bool,
}

impl CommitEpoch {
    /// The request's body. Fails when the epoch is over a limit, which no retry mends.
    pub fn encode(&self) -> Result<Bytes, Error> {
        self.check_limits()?;
        let mut outputs = BytesMut::new();
        let mut sections = Vec::new();
        // Outputs spread over queues would make a section each.
        let mut by_queue: Vec<&Message> = self.outputs.iter().collect();
        by_queue.sort_by_key(|message| (&message.topic, message.queue));
        for messages in by_queue.chunk_by(|one, other| share_a_section(one, other)) {
            let entries: Vec<_> = messages.iter().map(|message| entry(message)).collect();
            let bytes = batch::encode(&entries).map_err(refused)?;
            let first = messages[0];
            sections.push(Section {
                born: first.born.0,
                bytes: bytes.len(),
                messages: messages.len(),
                queue: first.queue,
                sys_flag: first.sys_flag.0,
                topic: first.topic.as_str().to_owned(),
            });
            outputs.put(bytes);
            limit("the epoch", outputs.len(), EPOCH_LIMIT)?;
        }
        let described = body::encode_standard(&Described {
            epoch: self.epoch,
            generation: self.generation,
            group: self.group.as_ref().map(|group| group.as_str().to_owned()),
            job: self.job.clone(),
            metadata: self
                .metadata
                .iter()
                .map(|(key, value)| Pair {
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
            offsets: self.offsets.iter().map(position).collect(),
            outputs: sections,
            shard: self.shard,
        });
        limit("the epoch's description", described.len(), JSON_LIMIT)?;
        limit(
            "the epoch",
            4 + described.len() + outputs.len(),
            EPOCH_LIMIT,
        )?;
        let mut out = BytesMut::with_capacity(4 + described.len() + outputs.len());
        out.put_u32(described.len() as u32);
        out.put(described);
        out.put(outputs);
        Ok(out.freeze())
    }

    /// Reads a request's body. Message bodies share it.
    pub fn decode(body: &Bytes) -> Result<CommitEpoch, Error> {
        let mut rest = body.clone();
        let length = rest.try_get_u32().map_err(refused)? as usize;
        limit("the epoch's description", length, JSON_LIMIT)?;
        if length > rest.len() {
            return Err(refused("the description is cut short"));
        }
        let described: Described = body::decode(&rest.split_to(length))?;
        if !described
            .outputs
            .is_sorted_by_key(|section| (&section.topic, section.queue))
        {
            return Err(refused("the sections are not queue by queue"));
        }
        let mut outputs = Vec::new();
        for section in &described.outputs {
            if section.bytes > rest.len() || section.messages > EPOCH_MESSAGES_LIMIT - outputs.len()
            {
                return Err(refused("a section is longer than the epoch"));
            }
            let entries = batch::decode(&rest.split_to(section.bytes)).map_err(refused)?;
            if entries.len() != section.messages {
                return Err(refused(
                    "a section does not have as many messages as it says",
                ));
            }
            let topic = Topic::parse(&section.topic).map_err(refused)?;
            outputs.extend(entries.into_iter().map(|entry| Message {
                flag: entry.flag,
                sys_flag: SysFlag(section.sys_flag),
                born: Timestamp(section.born),
                properties: entry.properties,
                ..Message::new(topic.clone(), section.queue, entry.body)
            }));
        }
        if !rest.is_empty() {
            return Err(refused("bytes are left over behind the last section"));
        }
        let epoch = CommitEpoch {
            job: described.job,
            generation: described.generation,
            shard: described.shard,
            epoch: described.epoch,
            group: described
                .group
                .map(|group| ConsumerGroup::parse(&group))
                .transpose()
                .map_err(refused)?,
            offsets: described
                .offsets
                .into_iter()
                .map(offset)
                .collect::<Result<_, _>>()?,
            metadata: described
                .metadata
                .into_iter()
                .map(|pair| (pair.key, pair.value))
                .collect(),
            outputs,
        };
        epoch.check_limits()?;
        Ok(epoch)
    }

    fn check_limits(&self) -> Result<(), Error> {
        check_job_name(&self.job)?;
        limit(
            "the epoch's list of messages",
            self.outputs.len(),
            EPOCH_MESSAGES_LIMIT,
        )?;
        limit(
            "the epoch's list of offsets",
            self.offsets.len(),
            EPOCH_OFFSETS_LIMIT,
        )?;
        limit(
            "the epoch's metadata",
            self.metadata.len(),
            EPOCH_METADATA_LIMIT,
        )?;
        if self.group.is_none() && !self.offsets.is_empty() {
            return Err(refused("there are offsets but no group they belong to"));
        }
        Ok(())
    }
}

impl EpochCommitted {
    /// The reply's body.
    pub fn encode(&self) -> Bytes {
        let appended = self.appended.iter().map(position).collect();
        body::encode_standard(&DescribedResult {
            appended,
            repeated: self.repeated,
        })
    }

    /// Reads a reply's body.
    pub fn decode(body: &[u8]) -> Result<EpochCommitted, Error> {
        let described: DescribedResult = body::decode(body)?;
        let appended = described
            .appended
            .into_iter()
            .map(offset)
            .collect::<Result<_, _>>()?;
        Ok(EpochCommitted {
            appended,
            repeated: described.repeated,
        })
    }
}

/// Accepts 1 to 255 bytes without control characters.
pub fn check_job_name(job: &str) -> Result<(), Error> {
    if job.is_empty() || job.len() > JOB_NAME_LIMIT || job.chars().any(char::is_control) {
        return Err(refused(
            "a job's name has 1 to 255 bytes and no control characters",
        ));
    }
    Ok(())
}

fn share_a_section(one: &Message, other: &Message) -> bool {
    one.queue == other.queue
        && one.sys_flag == other.sys_flag
        && one.born == other.born
        && one.topic == other.topic
}

fn entry(message: &Message) -> batch::Entry {
    batch::Entry {
        flag: message.flag,
        properties: message.properties.clone(),
        body: message.body.clone(),
    }
}

fn position((queue, offset): &(QueueId, QueueOffset)) -> Position {
    Position {
        offset: offset.0,
        queue: queue.number,
        topic: queue.topic.as_str().to_owned(),
    }
}

fn offset(position: Position) -> Result<(QueueId, QueueOffset), Error> {
    let topic = Topic::parse(&position.topic).map_err(refused)?;
    Ok((
        QueueId::new(topic, position.queue),
        QueueOffset(position.offset),
    ))
}

fn limit(what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit {
        return Err(refused(format!("{what} has {found}, the limit is {limit}")));
    }
    Ok(())
}

fn refused(why: impl std::fmt::Display) -> Error {
    Error::Body {
        what: "CommitEpoch",
        why: why.to_string(),
    }
}

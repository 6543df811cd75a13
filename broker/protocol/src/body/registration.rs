//! What a broker registers with a name server, plain and compressed.
//!
//! The compressed form is a zlib stream of length-prefixed pieces:
//! ```text
//! version JSON │ topic count │ per topic: "name readQueues writeQueues perm filter attributesJSON" │ filter servers JSON │ …
//! ```

use std::io::Read;

use bytes::Buf;
use flate2::read::ZlibDecoder;
use serde::{Deserialize, Serialize};

use super::{DataVersion, TopicConfig, TopicFilterType, TopicTable, decode};
use crate::Error;
use crate::json::Table;

/// Most bytes a compressed registration may unfold to: about a million topics.
const UNFOLDED_LIMIT: u64 = 64 * 1024 * 1024;

/// Body of 103.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegisterBroker {
    pub filter_server_list: Vec<String>,
    pub topic_config_serialize_wrapper: TopicTable,
}

impl RegisterBroker {
    /// Reads either form; the request's header says which it is.
    pub fn decode(body: &[u8], compressed: bool) -> Result<RegisterBroker, Error> {
        if compressed {
            Self::unfold(body)
        } else {
            decode(body)
        }
    }

    fn unfold(body: &[u8]) -> Result<RegisterBroker, Error> {
        let mut text = Vec::new();
        let mut unfolding = ZlibDecoder::new(body).take(UNFOLDED_LIMIT + 1);
        unfolding
            .read_to_end(&mut text)
            .map_err(|error| refused(error.to_string()))?;
        if text.len() as u64 > UNFOLDED_LIMIT {
            return Err(refused("it unfolds to more than 64 MiB".to_owned()));
        }
        let mut rest = &text[..];
        let data_version: DataVersion = decode(piece(&mut rest)?)?;
        let topics = rest.try_get_u32().map_err(|_| cut_short())?;
        let mut table = Table::new();
        for _ in 0..topics {
            let line = std::str::from_utf8(piece(&mut rest)?)
                .map_err(|_| refused("a topic is not UTF-8".to_owned()))?;
            let topic = topic(line)
                .ok_or_else(|| refused(format!("{line:.80?} does not describe a topic")))?;
            table.push(topic.topic_name.clone(), topic);
        }
        let filter_server_list = decode(piece(&mut rest)?)?;
        // Static topics may follow; we have none.
        let wrapper = TopicTable {
            data_version,
            topic_config_table: table,
            ..TopicTable::default()
        };
        Ok(RegisterBroker {
            filter_server_list,
            topic_config_serialize_wrapper: wrapper,
        })
    }
}

fn topic(line: &str) -> Option<TopicConfig> {
    let mut words = line.splitn(6, ' ');
    let topic_name = words.next()?.to_owned();
    let read_queue_nums = words.next()?.parse().ok()?;
    let write_queue_nums = words.next()?.parse().ok()?;
    let perm = words.next()?.parse().ok()?;
    let topic_filter_type = match words.next()? {
        "SINGLE_TAG" => TopicFilterType::SingleTag,
        "MULTI_TAG" => TopicFilterType::MultiTag,
        _ => return None,
    };
    let attributes = match words.next().map(str::trim) {
        None | Some("") => Table::new(),
        Some(attributes) => decode(attributes.as_bytes()).ok()?,
    };
    let (order, topic_sys_flag) = (false, 0);
    Some(TopicConfig {
        attributes,
        order,
        perm,
        read_queue_nums,
        topic_filter_type,
        topic_name,
        topic_sys_flag,
        write_queue_nums,
    })
}

fn piece<'t>(rest: &mut &'t [u8]) -> Result<&'t [u8], Error> {
    let length = rest.try_get_u32().map_err(|_| cut_short())? as usize;
    rest.split_off(..length).ok_or_else(cut_short)
}

fn cut_short() -> Error {
    refused("it is cut short".to_owned())
}

fn refused(why: String) -> Error {
    Error::Body {
        what: "RegisterBroker",
        why,
    }
}

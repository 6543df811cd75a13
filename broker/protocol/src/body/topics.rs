//! Topics as they are configured.

use serde::{Deserialize, Serialize};

use crate::json::Table;

/// Whether messages of a topic carry one tag or several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TopicFilterType {
    #[default]
    SingleTag,
    MultiTag,
}

impl TopicFilterType {
    pub fn name(self) -> &'static str {
        match self {
            TopicFilterType::SingleTag => "SINGLE_TAG",
            TopicFilterType::MultiTag => "MULTI_TAG",
        }
    }
}

/// Reply to 351.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfig {
    pub attributes: Table<String, String>,
    pub order: bool,
    pub perm: i32,
    pub read_queue_nums: i32,
    pub topic_filter_type: TopicFilterType,
    pub topic_name: String,
    pub topic_sys_flag: i32,
    pub write_queue_nums: i32,
}

/// Tells two states of a table apart; also the body of 322.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DataVersion {
    pub counter: i64,
    pub state_version: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
}

/// Reply to 21, and the topics within a registration.
///
/// The tables of static topics are read over and written empty: we have no static topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicTable {
    pub data_version: DataVersion,
    pub mapping_data_version: Option<DataVersion>,
    pub topic_config_table: Table<String, TopicConfig>,
    #[serde(deserialize_with = "nothing")]
    pub topic_queue_mapping_detail_map: Table<String, ()>,
    #[serde(deserialize_with = "nothing")]
    pub topic_queue_mapping_info_map: Table<String, ()>,
}

fn nothing<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Table<String, ()>, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| Table::new())
}

/// Body of 18.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfigList {
    pub topic_config_list: Vec<TopicConfig>,
}

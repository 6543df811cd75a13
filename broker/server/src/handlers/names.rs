//! What a name server answers.

use std::collections::BTreeMap;
use std::time::Duration;

use metadata::KeyValues;
use model::Topic;
use nameserver::{BrokerAddress, BrokerRoute, DataVersion, Registration, Routes, TopicQueues};
use protocol::body::{
    self, BrokerData, BrokerMemberGroup, BrokerMemberGroupReply, ClusterInfo, KvTable, QueueData,
    Table, TopicList, TopicRoute,
};
use protocol::headers::{
    AddWritePermissionReply, BrokerHeartbeat, BrokerNamed, BrokerPermission, DataVersionReply,
    DeleteTopicFromNames, GetBrokerMemberGroup, GetRoute, GetTopicsByCluster, KvConfigKey,
    KvConfigReply, KvNamespace, PutKvConfig, RegisterBroker, RegisterBrokerReply,
    WipeWritePermissionReply,
};
use protocol::{Frame, ReadFields, Reply, RequestCode, ResponseCode, Version};

use crate::broker_door::not_supported;
use crate::channel::Channel;
use crate::respond::Refusal;

/// Where RocketMQ keeps the queue counts of ordered topics.
const ORDERED_TOPICS: &str = "ORDER_TOPIC_CONFIG";
const HELP: &str = "See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";

/// What a name server's answers need.
pub struct Names<'a> {
    pub routes: &'a Routes,
    pub key_values: &'a KeyValues,
}

impl Names<'_> {
    pub fn handle(&self, channel: &Channel, request: &Frame) -> Result<Reply, Refusal> {
        match RequestCode(request.header.code) {
            RequestCode::GET_ROUTEINFO_BY_TOPIC => self.route(request),
            RequestCode::GET_BROKER_CLUSTER_INFO => {
                Ok(Reply::success().body(body::encode(&self.cluster())))
            }
            RequestCode::REGISTER_BROKER => self.register(request, channel),
            RequestCode::UNREGISTER_BROKER => self.unregister(request),
            RequestCode::QUERY_DATA_VERSION => self.data_version(request),
            RequestCode::BROKER_HEARTBEAT => self.heartbeat(request),
            RequestCode::GET_BROKER_MEMBER_GROUP => self.members(request),
            RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => Ok(topic_list(self.routes.topics())),
            RequestCode::GET_TOPICS_BY_CLUSTER => {
                let header = GetTopicsByCluster::read_fields(&request.header.ext)?;
                Ok(topic_list(self.routes.topics_of_cluster(header.cluster)))
            }
            RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS => Ok(self.system_topics()),
            RequestCode::WIPE_WRITE_PERM_OF_BROKER => {
                let header = BrokerPermission::read_fields(&request.header.ext)?;
                let topics = self.routes.wipe_write_permission(header.broker) as i32;
                Ok(Reply::success().header(&WipeWritePermissionReply { topics }))
            }
            RequestCode::ADD_WRITE_PERM_OF_BROKER => {
                let header = BrokerPermission::read_fields(&request.header.ext)?;
                let topics = self.routes.add_write_permission(header.broker) as i32;
                Ok(Reply::success().header(&AddWritePermissionReply { topics }))
            }
            RequestCode::DELETE_TOPIC_IN_NAMESRV => {
                let header = DeleteTopicFromNames::read_fields(&request.header.ext)?;
                self.routes.delete_topic(
                    header.topic,
                    header.cluster.filter(|cluster| !cluster.is_empty()),
                );
                Ok(Reply::success())
            }
            RequestCode::PUT_KV_CONFIG => {
                let header = PutKvConfig::read_fields(&request.header.ext)?;
                self.key_values
                    .put(header.namespace, header.key, header.value)?;
                Ok(Reply::success())
            }
            RequestCode::GET_KV_CONFIG => self.key_value(request),
            RequestCode::DELETE_KV_CONFIG => {
                let header = KvConfigKey::read_fields(&request.header.ext)?;
                self.key_values.remove(header.namespace, header.key)?;
                Ok(Reply::success())
            }
            RequestCode::GET_KVLIST_BY_NAMESPACE => self.key_values(request),
            code => Err(not_supported(code)),
        }
    }

    fn route(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = GetRoute::read_fields(&request.header.ext)?;
        let Some(route) = self.routes.route(header.topic) else {
            let remark = format!(
                "No topic route info in name server for the topic: {}\n{HELP}",
                header.topic
            );
            return Err(Refusal::code(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        let queue_datas = route.queues.into_iter().map(|route| QueueData {
            broker_name: route.broker,
            perm: route.queues.permission as i32,
            read_queue_nums: route.queues.read_queues as i32,
            topic_sys_flag: route.queues.system_flag,
            write_queue_nums: route.queues.write_queues as i32,
        });
        let body = TopicRoute {
            broker_datas: route.brokers.into_iter().map(broker_data).collect(),
            filter_server_table: Table::new(),
            // RocketMQ tells it only when `orderMessageEnable` is set, which it is not by default.
            order_topic_conf: None,
            queue_datas: queue_datas.collect(),
        };
        let standard = header.standard_json || request.header.version >= Version::V4_9_4;
        Ok(Reply::success().body(if standard {
            body::encode_standard(&body)
        } else {
            body::encode(&body)
        }))
    }

    fn cluster(&self) -> ClusterInfo {
        let cluster = self.routes.cluster();
        let mut info = ClusterInfo::default();
        for (name, broker) in cluster.brokers {
            info.broker_addr_table.push(name, broker_data(broker));
        }
        for (name, brokers) in cluster.clusters {
            info.cluster_addr_table
                .push(name, brokers.into_iter().collect());
        }
        info
    }

    fn register(&self, request: &Frame, channel: &Channel) -> Result<Reply, Refusal> {
        let header = RegisterBroker::read_fields(&request.header.ext)?;
        // RocketMQ keeps 31 bits of the checksum, and 0 means there is none.
        if header.body_crc != 0 && crc32fast::hash(&request.body) & 0x7fff_ffff != header.body_crc {
            return Err(Refusal::code(ResponseCode::SYSTEM_ERROR, "crc32 not match"));
        }
        let said = match request.body.is_empty() {
            true => body::RegisterBroker::default(),
            false => body::RegisterBroker::decode(&request.body, header.compressed)?,
        };
        let wrapper = said.topic_config_serialize_wrapper;
        let mut topics = BTreeMap::new();
        for (name, config) in wrapper.topic_config_table {
            let Ok(topic) = Topic::stored(&name) else {
                continue;
            };
            let queues = TopicQueues {
                read_queues: u32::try_from(config.read_queue_nums).unwrap_or(0),
                write_queues: u32::try_from(config.write_queue_nums).unwrap_or(0),
                permission: u32::try_from(config.perm).unwrap_or(0),
                system_flag: config.topic_sys_flag,
            };
            topics.insert(topic, queues);
        }
        let registered = self.routes.register(
            Registration {
                from: address(
                    header.cluster,
                    header.broker,
                    header.broker_id,
                    header.address,
                )?,
                ha_address: header.ha_address.to_owned(),
                lease: header
                    .heartbeat_timeout_ms
                    .and_then(|ms| u64::try_from(ms).ok())
                    .map(Duration::from_millis),
                zone: header.zone.map(str::to_owned),
                acting_master: header.acting_master.unwrap_or(false),
                version: version(&wrapper.data_version),
                topics,
            },
            channel.number(),
        );
        let ordered = self
            .key_values
            .namespace(ORDERED_TOPICS)
            .unwrap_or_default();
        let mut table = KvTable::default();
        ordered
            .into_iter()
            .for_each(|(key, value)| table.table.push(key, value));
        let header = RegisterBrokerReply {
            ha_address: registered.ha_address.as_deref(),
            master_address: registered.master_address.as_deref(),
        };
        let reply = Reply::success().header(&header);
        Ok(if table.table.is_empty() {
            reply
        } else {
            reply.body(body::encode(&table))
        })
    }

    fn unregister(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = BrokerNamed::read_fields(&request.header.ext)?;
        self.routes.unregister(&address(
            header.cluster,
            header.broker,
            header.broker_id,
            header.address,
        )?);
        Ok(Reply::success())
    }

    fn data_version(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = BrokerNamed::read_fields(&request.header.ext)?;
        let asked = match request.body.is_empty() {
            true => None,
            false => Some(version(&body::decode(&request.body)?)),
        };
        let known = self.routes.heartbeat(&address(
            header.cluster,
            header.broker,
            header.broker_id,
            header.address,
        )?);
        let reply = Reply::success().header(&DataVersionReply {
            changed: known.is_none() || known != asked,
        });
        Ok(match known {
            Some(known) => {
                let known = body::DataVersion {
                    counter: known.counter,
                    state_version: known.state_version,
                    timestamp: known.timestamp,
                };
                reply.body(body::encode(&known))
            }
            None => reply,
        })
    }

    fn heartbeat(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = BrokerHeartbeat::read_fields(&request.header.ext)?;
        self.routes.heartbeat(&address(
            header.cluster,
            header.broker,
            header.broker_id.unwrap_or(0),
            header.address,
        )?);
        Ok(Reply::success())
    }

    fn members(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = GetBrokerMemberGroup::read_fields(&request.header.ext)?;
        let cluster = self.routes.cluster();
        let broker = cluster
            .brokers
            .get(header.broker)
            .filter(|broker| broker.cluster == header.cluster);
        let mut group = BrokerMemberGroup {
            cluster: header.cluster.to_owned(),
            broker_name: header.broker.to_owned(),
            ..BrokerMemberGroup::default()
        };
        for (id, address) in broker.into_iter().flat_map(|broker| &broker.addresses) {
            group.broker_addrs.push(*id as i64, address.clone());
        }
        Ok(Reply::success().body(body::encode(&BrokerMemberGroupReply {
            broker_member_group: Some(group),
        })))
    }

    /// RocketMQ's list: every cluster's and broker's name, and one broker's address.
    fn system_topics(&self) -> Reply {
        let cluster = self.routes.cluster();
        let mut topics: Vec<String> = Vec::new();
        for (name, brokers) in &cluster.clusters {
            topics.push(name.clone());
            topics.extend(brokers.iter().cloned());
        }
        let address = cluster
            .brokers
            .values()
            .find_map(|broker| broker.addresses.get(&0).cloned());
        Reply::success().body(body::encode(&TopicList {
            broker_addr: address,
            topic_list: topics,
        }))
    }

    fn key_value(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = KvConfigKey::read_fields(&request.header.ext)?;
        match self.key_values.get(header.namespace, header.key) {
            Some(value) => Ok(Reply::success().header(&KvConfigReply {
                value: Some(&value),
            })),
            None => {
                let remark = format!(
                    "No config item, Namespace: {} Key: {}",
                    header.namespace, header.key
                );
                Err(Refusal::code(ResponseCode::QUERY_NOT_FOUND, remark))
            }
        }
    }

    fn key_values(&self, request: &Frame) -> Result<Reply, Refusal> {
        let header = KvNamespace::read_fields(&request.header.ext)?;
        let Some(values) = self.key_values.namespace(header.namespace) else {
            let remark = format!("No config item, Namespace: {}", header.namespace);
            return Err(Refusal::code(ResponseCode::QUERY_NOT_FOUND, remark));
        };
        let mut table = KvTable::default();
        values
            .into_iter()
            .for_each(|(key, value)| table.table.push(key, value));
        Ok(Reply::success().body(body::encode(&table)))
    }
}

fn address(cluster: &str, broker: &str, id: i64, address: &str) -> Result<BrokerAddress, Refusal> {
    let id = u64::try_from(id).map_err(|_| {
        Refusal::code(
            ResponseCode::SYSTEM_ERROR,
            format!("brokerId {id} is negative"),
        )
    })?;
    Ok(BrokerAddress {
        cluster: cluster.to_owned(),
        broker: broker.to_owned(),
        id,
        address: address.to_owned(),
    })
}

fn version(said: &body::DataVersion) -> DataVersion {
    DataVersion {
        state_version: said.state_version,
        timestamp: said.timestamp,
        counter: said.counter,
    }
}

fn broker_data(broker: BrokerRoute) -> BrokerData {
    let mut broker_addrs = Table::new();
    broker
        .addresses
        .into_iter()
        .for_each(|(id, address)| broker_addrs.push(id as i64, address));
    BrokerData {
        broker_addrs,
        broker_name: broker.broker,
        cluster: broker.cluster,
        enable_acting_master: broker.acting_master,
        zone_name: broker.zone,
    }
}

fn topic_list(topics: Vec<Topic>) -> Reply {
    let topic_list = topics.iter().map(ToString::to_string).collect();
    Reply::success().body(body::encode(&TopicList {
        broker_addr: None,
        topic_list,
    }))
}

//! The clients that ran beside the tools while they were recorded, and were not recorded.

use std::time::Duration;

use bytes::Bytes;
use model::{LogOffset, MessageId};
use protocol::body::{
    self, ConsumeFromWhere, ConsumerData, HeartbeatData, ProducerData, SubscriptionData,
};
use protocol::headers::{PullFlags, PullMessage, SendMessage, SendReply, UpdateConsumerOffset};
use protocol::{ExtFields, Frame, ReadFields, RequestCode};
use runtime::Clock;

use crate::transcript::{self, Peer, What};
use crate::world::{Connection, World};

/// The unique key of the message that the tools looked up.
const UNIQUE: &str = "FD0000000000000000000000000000026D5E4E0E2F2A6F88EDFC0001";

pub struct Background {
    /// Where the first message lay in the recorded log, and where it lies here.
    pub recorded: LogOffset,
    pub first: LogOffset,
}

impl Background {
    /// A producer that has sent four messages, a consumer that has read them and stays, and a
    /// group that has read another topic and left.
    pub async fn start(world: &World) -> Background {
        let mut connection = world.connect(Peer::Broker).await;
        let mut first = None;
        for number in 0..4 {
            let unique = match number {
                0 => UNIQUE.to_owned(),
                other => format!("{}{other:04}", &UNIQUE[..UNIQUE.len() - 4]),
            };
            let properties =
                format!("KEYS\u{1}admin-{number}\u{2}UNIQ_KEY\u{1}{unique}\u{2}TAGS\u{1}TagA\u{2}");
            let at = send(&mut connection, number % 2, &properties).await;
            first.get_or_insert(at);
        }
        connection
            .ask(
                RequestCode::HEART_BEAT,
                ExtFields::new(),
                body::encode(&heartbeat()),
            )
            .await;
        pull(&mut connection).await;
        commit(&mut connection, "GID_wire_admin", "WireAdmin").await;
        commit(&mut connection, "GID_wire_python", "WirePython").await;
        tokio::spawn(answer(connection, world.clock.clock()));
        Background {
            recorded: LogOffset(45_791),
            first: first.expect("four messages were sent"),
        }
    }
}

async fn send(connection: &mut Connection, queue: i32, properties: &str) -> LogOffset {
    let header = SendMessage {
        producer_group: "PID_wire_admin",
        topic: "WireAdmin",
        default_topic: "TBW102",
        default_topic_queues: 4,
        queue,
        sys_flag: 0,
        born: 1_795_362_444_796,
        flag: 0,
        properties,
        reconsume_times: 0,
        unit_mode: false,
        max_reconsume_times: None,
        batch: false,
        broker: None,
    };
    let sent = connection
        .ask(
            RequestCode::SEND_MESSAGE_V2,
            ExtFields::of(&header),
            Bytes::from_static(b"for mqadmin"),
        )
        .await;
    let receipt = SendReply::read_fields(&sent.header.ext).expect("a message is stored");
    let id: MessageId = receipt.message_id.parse().expect("a receipt has an id");
    id.log_offset
}

fn heartbeat() -> HeartbeatData {
    let subscription = |topic: &str| SubscriptionData {
        sub_string: "*".to_owned(),
        sub_version: 1,
        topic: topic.to_owned(),
        ..SubscriptionData::default()
    };
    let mut filtered = subscription("WireAdmin");
    filtered.sub_string = "TagA".to_owned();
    filtered.tags_set = vec!["TagA".to_owned()];
    filtered.code_set = vec![2_598_919];
    HeartbeatData {
        client_id: "192.0.2.2@GID_wire_admin".to_owned(),
        consumer_data_set: vec![ConsumerData {
            consume_from_where: ConsumeFromWhere::FirstOffset,
            group_name: "GID_wire_admin".to_owned(),
            subscription_data_set: vec![filtered, subscription("%RETRY%GID_wire_admin")],
            ..ConsumerData::default()
        }],
        producer_data_set: vec![ProducerData {
            group_name: "PID_wire_admin".to_owned(),
        }],
        ..HeartbeatData::default()
    }
}

async fn commit(connection: &mut Connection, group: &str, topic: &str) {
    let ext = ExtFields::of(&protocol::headers::GroupNamed { group });
    connection
        .ask(RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG, ext, Bytes::new())
        .await;
    for queue in 0..2 {
        let header = UpdateConsumerOffset {
            group,
            topic,
            queue: Some(queue),
            commit_offset: Some(2),
            broker: None,
        };
        connection
            .ask(
                RequestCode::UPDATE_CONSUMER_OFFSET,
                ExtFields::of(&header),
                Bytes::new(),
            )
            .await;
    }
}

async fn pull(connection: &mut Connection) {
    let header = PullMessage {
        group: "GID_wire_admin",
        topic: "WireAdmin",
        queue: 0,
        queue_offset: 0,
        max_messages: 32,
        flags: PullFlags::default(),
        commit_offset: 0,
        suspend_timeout_ms: 0,
        subscription: None,
        subscription_version: 0,
        expression_type: None,
        max_message_bytes: None,
        request_source: None,
        proxy_forward_client_id: None,
        broker: None,
    };
    let ext = ExtFields::of(&header);
    connection
        .ask(RequestCode::PULL_MESSAGE, ext, Bytes::new())
        .await;
}

/// Tells about itself when the broker asks, and that it lives, for as long as the test runs.
async fn answer(mut connection: Connection, clock: Clock) {
    let code = RequestCode::GET_CONSUMER_RUNNING_INFO;
    let told = recorded_running_info();
    loop {
        tokio::select! {
            asked = connection.patient_request(code.0) => {
                let Some(asked) = asked else { return };
                let mut answer = Frame::request(code, ExtFields::new(), told.clone());
                answer.header.code = 0;
                answer.header.opaque = asked.header.opaque;
                answer.header.flag = protocol::Flag::RESPONSE;
                connection.send(&answer).await;
            }
            () = clock.sleep(Duration::from_secs(30)) => {
                let beat = body::encode(&heartbeat());
                let frame = Frame::request(RequestCode::HEART_BEAT, ExtFields::new(), beat);
                connection.send(&frame).await;
            }
        }
    }
}

/// What the recorded consumer told: the broker passed it on.
fn recorded_running_info() -> Bytes {
    let answer = |line: transcript::Line| match line.what {
        What::FromServer {
            frame,
            answers: Some(307),
        } => Some(frame.body),
        _ => None,
    };
    transcript::read("mqadmin-consumerStatus")
        .into_iter()
        .find_map(answer)
        .expect("the tool asked for it")
}

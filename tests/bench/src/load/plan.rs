//! What a run does: arguments of `mill-bench load`.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::schedule::Pace;
use super::spread::Spread;
use super::subscription::Subscription;

/// By which client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum Client {
    /// The generator's own, which costs little.
    #[default]
    Own,
    /// RocketMQ's for Java: `depth` threads that share one producer, and its push consumer.
    Java,
}

/// Messages to be sent, and who reads them.
#[derive(Clone, Debug, Args, Serialize, Deserialize)]
pub struct Plan {
    /// Whose client sends and reads.
    #[arg(long, value_enum, default_value_t = Client::Own)]
    pub client: Client,
    /// The broker, as host:port.
    #[arg(long, required_unless_present = "name_server")]
    pub broker: Option<String>,
    /// A name server that knows one broker, as host:port.
    #[arg(long)]
    pub name_server: Option<String>,
    /// The broker's process on this machine, whose cost is reported.
    #[arg(long)]
    pub process: Option<u32>,
    /// The topic, which nobody has used before: every message in it has to be of this run.
    #[arg(long, default_value = "mill-bench")]
    pub topic: String,
    /// Topics `TOPIC-0`, `TOPIC-1` and so on; one alone has the bare name.
    #[arg(long, default_value_t = 1)]
    pub topics: u32,
    /// Queues of each topic.
    #[arg(long, default_value_t = 8)]
    pub queues: u32,
    /// Attributes of the topics, as `+name=value`.
    #[arg(long)]
    pub attributes: Option<String>,
    /// Which queues messages go to: even or zipf.
    #[arg(long, default_value = "even")]
    pub spread: Spread,
    /// Bytes of a body, at least 24.
    #[arg(long, default_value_t = 1024)]
    pub body: usize,
    /// Messages in one request.
    #[arg(long, default_value_t = 1)]
    pub batch: u32,
    /// Connections that produce.
    #[arg(long, default_value_t = 1)]
    pub producers: u32,
    /// Requests under way on each of them; 1 waits for every answer.
    #[arg(long, default_value_t = 1)]
    pub depth: u32,
    /// Messages a second in an open loop; without it as many as go.
    #[arg(long)]
    pub rate: Option<f64>,
    /// How long messages are sent, the warm-up included.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Seconds at the start that are not measured.
    #[arg(long, default_value_t = 0.0)]
    pub warm_up: f64,
    /// Most messages; the run ends with whichever comes first.
    #[arg(long, default_value_t = u64::MAX)]
    pub messages: u64,
    /// Sixteen properties, by which filters choose.
    #[arg(long)]
    pub properties: bool,
    /// Groups that read while messages are sent.
    #[arg(long, default_value_t = 0)]
    pub groups: u32,
    /// Groups that read afterwards, each alone: all, tag1, tag10, tag50, sql.
    #[arg(long, value_delimiter = ',')]
    pub drain: Vec<Subscription>,
    /// A topic of an earlier run that is read from its begin while messages are sent.
    #[arg(long, requires = "backlog_messages")]
    pub backlog: Option<String>,
    /// How many messages it has.
    #[arg(long)]
    pub backlog_messages: Option<u64>,
    /// Seconds of the measured part before its reading begins; the run ends with it.
    #[arg(long, default_value_t = 0.0)]
    pub backlog_after: f64,
    /// The core of this process.
    #[arg(long)]
    pub core: Option<usize>,
}

impl Default for Plan {
    /// What the command line has when nothing is said: 1 KiB, eight queues, ten seconds.
    fn default() -> Plan {
        Plan {
            client: Client::Own,
            broker: None,
            name_server: None,
            process: None,
            topic: "mill-bench".into(),
            topics: 1,
            queues: 8,
            attributes: None,
            spread: Spread::Even,
            body: 1 << 10,
            batch: 1,
            producers: 1,
            depth: 1,
            rate: None,
            seconds: 10.0,
            warm_up: 0.0,
            messages: u64::MAX,
            properties: false,
            groups: 0,
            drain: Vec::new(),
            backlog: None,
            backlog_messages: None,
            backlog_after: 0.0,
            core: None,
        }
    }
}

impl Plan {
    pub fn pace(&self) -> Pace {
        self.rate.map_or(Pace::Maximum, Pace::Rate)
    }

    pub fn topic_names(&self) -> Vec<String> {
        match self.topics {
            0 | 1 => vec![self.topic.clone()],
            many => (0..many)
                .map(|number| format!("{}-{number}", self.topic))
                .collect(),
        }
    }
}

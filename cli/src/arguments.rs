//! The command line: one tree, noun then verb.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A message broker with connectors, streaming SQL and WASM functions in one binary.
#[derive(Debug, Parser)]
#[command(name = "millstream", version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command understands.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// How results are printed.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Name servers to ask, `host:port` separated by `;`.
    #[arg(
        short,
        long,
        global = true,
        env = "MILLSTREAM_NAMESERVERS",
        default_value = "127.0.0.1:9876"
    )]
    pub nameservers: String,
    /// Address of the admin API of a running house.
    #[arg(
        long,
        global = true,
        env = "MILLSTREAM_ADMIN",
        default_value = "127.0.0.1:8084"
    )]
    pub admin: String,
    /// Address of the connector REST API of a running house.
    #[arg(
        long,
        global = true,
        env = "MILLSTREAM_CONNECT",
        default_value = "127.0.0.1:8083"
    )]
    pub connect: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs; the schema is stable.
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run every role on loopback, for developers:  millstream up
    Up(Up),
    /// Run the main job on real flights and prove its result:  millstream demo
    Demo(Demo),
    /// Send messages, one a line from standard input or as arguments:  millstream produce hello "it works"
    Produce(Produce),
    /// Print messages of a topic:  millstream consume hello --count 1
    Consume(Consume),
    /// Topics:  millstream topic list
    #[command(subcommand)]
    Topic(Topic),
    /// Consumer groups:  millstream group list
    #[command(subcommand)]
    Group(Group),
    /// Submit a SQL file to the running house:  millstream run flights.sql
    Run(Run),
    /// Streaming jobs:  millstream job list
    #[command(subcommand)]
    Job(Job),
    /// Connectors:  millstream connector apply flights.toml
    #[command(subcommand)]
    Connector(Connector),
    /// WASM functions:  millstream function check haversine.wasm
    #[command(subcommand)]
    Function(Function),
    /// A store's directory, while no broker has it open:  millstream store check DIR
    #[command(subcommand)]
    Store(Store),
    /// Settings:  millstream config default
    #[command(subcommand)]
    Config(Config),
}

#[derive(Args, Clone, Debug)]
pub struct Up {
    /// Where data lies; made if missing. Default: the user's data directory.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// A settings file; without it the defaults of the developer profile apply.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Overrides one setting: `--set store.flush=sync`.
    #[arg(long = "set", value_name = "PART.KEY=VALUE")]
    pub set: Vec<String>,
    /// Lets it listen where other machines reach it, though there is no login.
    #[arg(long)]
    pub insecure: bool,
}

#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Write the result into this PostgreSQL instead of a file.
    #[arg(long, value_name = "URL")]
    pub postgres: Option<String>,
    /// How long to wait for a PostgreSQL that went away before the demo gives up.
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = duration)]
    pub retry: Duration,
    /// Keep data here and go on from it; default: a temporary folder.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Folder laid out as `examples/flights`: the two CSV files, the script and the connectors' files.
    #[arg(long)]
    pub input: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub struct Produce {
    pub topic: String,
    /// Message bodies; without any, each line of standard input is one.
    pub messages: Vec<String>,
    /// Tag of every message.
    #[arg(long)]
    pub tag: Option<String>,
    /// Key of every message.
    #[arg(long)]
    pub key: Option<String>,
    /// A property, `name=value`; may be repeated.
    #[arg(long = "property", value_name = "NAME=VALUE")]
    pub properties: Vec<String>,
}

#[derive(Args, Clone, Debug)]
pub struct Consume {
    pub topic: String,
    /// End after so many messages; default: go on until Ctrl-C.
    #[arg(long)]
    pub count: Option<u64>,
    /// Consume as this group and commit; default: read from the start and leave no trace.
    #[arg(long)]
    pub group: Option<String>,
    /// Only messages whose properties match, as SQL92: `--filter "price > 5"`.
    #[arg(long)]
    pub filter: Option<String>,
    /// Only messages with one of these tags, `a || b`.
    #[arg(long, conflicts_with = "filter")]
    pub tag: Option<String>,
    /// End when there is nothing more to read.
    #[arg(long)]
    pub drain: bool,
}

#[derive(Debug, Subcommand)]
pub enum Topic {
    /// Every topic with its queues.
    List {
        /// System topics too.
        #[arg(long)]
        all: bool,
    },
    /// One topic with the offsets of its queues.
    Describe { topic: String },
    /// Make a topic, or change its number of queues.
    Create {
        topic: String,
        #[arg(long, default_value_t = 8)]
        queues: u32,
    },
    /// Delete a topic and its messages' index.
    Delete {
        topic: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Group {
    /// Every consumer group with its lag.
    List,
    /// One group with its position in every queue.
    Describe { group: String },
    /// Forget a group.
    Delete {
        group: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args, Clone, Debug)]
pub struct Run {
    pub file: PathBuf,
    /// Print the dataflow instead of running it.
    #[arg(long)]
    pub explain: bool,
    /// Name of the job; default: the file's name.
    #[arg(long)]
    pub name: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Job {
    /// Every job with its state.
    List,
    /// One job: dataflow, epochs, positions, counters.
    Describe { job: String },
    /// Stop a job; it keeps its state.
    Stop {
        job: String,
        /// First emit what open windows hold.
        #[arg(long)]
        drain: bool,
    },
    /// Start a stopped job where it was.
    Resume { job: String },
    /// Delete a stopped job and its state.
    Delete {
        job: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Connector {
    /// Create or change a connector from a file.
    Apply {
        file: PathBuf,
        /// Only say what is wrong with it.
        #[arg(long)]
        dry_run: bool,
    },
    /// Every connector with its state.
    List,
    /// One connector: configuration, tasks, offsets.
    Describe {
        connector: String,
    },
    Pause {
        connector: String,
    },
    Resume {
        connector: String,
    },
    /// Delete a connector; its offsets stay.
    Delete {
        connector: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Function {
    /// What a module offers, or why it is refused.
    Check { file: PathBuf },
}

#[derive(Debug, Subcommand)]
pub enum Store {
    /// Read all of a store and say what is wrong with it; nothing is changed.
    Check {
        /// The store's directory, or the data folder it lies in.
        directory: PathBuf,
    },
    /// Mend what a start refuses. What is taken out goes to `lost+found`, nothing is destroyed.
    Repair {
        /// The store's directory, or the data folder it lies in.
        directory: PathBuf,
        /// Only print what would be done.
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
        /// Do what the plan says.
        #[arg(long)]
        yes: bool,
    },
    /// Print the records of a store, one a line.
    Dump(Dump),
    /// Write a copy that RocketMQ 5.5.0 opens; the store stays as it is.
    Export {
        /// The store's directory, or the data folder it lies in.
        directory: PathBuf,
        /// What RocketMQ reads.
        #[arg(long, value_enum, default_value_t = ExportFormat::Rocketmq)]
        format: ExportFormat,
        /// The directory to be made; nothing may be there.
        #[arg(long, value_name = "DIRECTORY")]
        to: PathBuf,
        /// Where topics and groups are kept, if that is not beside the store.
        #[arg(long, value_name = "DIRECTORY")]
        metadata: Option<PathBuf>,
    },
}

/// Whose directory an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Rocketmq,
}

#[derive(Args, Clone, Debug)]
pub struct Dump {
    /// The store's directory, or the data folder it lies in.
    pub directory: PathBuf,
    /// Only records of this topic.
    #[arg(long)]
    pub topic: Option<String>,
    /// Only records of this queue of the topic; `--from` and `--to` are offsets in it then.
    #[arg(long, requires = "topic")]
    pub queue: Option<u32>,
    /// First offset: in the log, or in the queue if one is named.
    #[arg(long, default_value_t = 0)]
    pub from: u64,
    /// Offset behind the last one.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    pub to: u64,
    /// End after so many records.
    #[arg(long)]
    pub limit: Option<u64>,
    /// Bodies too.
    #[arg(long)]
    pub body: bool,
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Every setting with its default: the manual.
    Default,
    /// Everything that is wrong with a settings file (`.toml`) or a RocketMQ `broker.conf` (`.conf`).
    Check { file: PathBuf },
}

fn duration(text: &str) -> Result<Duration, String> {
    let read = connect_sdk::parse_duration(text);
    read.ok_or_else(|| "not a duration such as 500ms, 30s or 5m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_consistent() {
        Arguments::command().debug_assert();
    }
}

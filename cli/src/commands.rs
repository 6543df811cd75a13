//! One file for each noun of the command line.

pub mod config;
pub mod connector;
pub mod consume;
pub mod demo;
pub mod function;
pub mod group;
pub mod job;
pub mod produce;
pub mod store;
pub mod topic;
pub mod up;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::{Result, bail};
use client::Client;
use model::{NameError, Topic};
use protocol::ResponseCode;
use runtime::{Clock, Net, Tasks};
use settings::nearest;

use crate::arguments::{Arguments, Command, Global};
use crate::failure::{Exit, Failure};

/// Runs one command to its end.
pub fn run(arguments: Arguments) -> Result<()> {
    let global = arguments.global;
    match arguments.command {
        Command::Up(up) => up::run(&up),
        Command::Demo(demo) => demo::run(&demo),
        Command::Config(config) => config::run(&config),
        Command::Store(command) => store::run(&global, &command),
        Command::Run(run) => job::run(&global, &run),
        Command::Job(command) => job::job(&global, &command),
        Command::Connector(command) => connector::run(&global, &command),
        Command::Function(command) => function::run(&global, &command),
        Command::Produce(produce) => with_client(&global, async |client| {
            produce::run(&client, &produce).await
        }),
        Command::Consume(consume) => with_client(&global, async |client| {
            consume::run(&global, &client, &consume).await
        }),
        Command::Topic(command) => with_client(&global, async |client| {
            topic::run(&global, &client, &command).await
        }),
        Command::Group(command) => with_client(&global, async |client| {
            group::run(&global, &client, &command).await
        }),
    }
}

/// Longest a command waits for its tasks when it ends.
const STOP: Duration = Duration::from_secs(2);

/// Runs `work` with a client of the name servers the command line names.
fn with_client(global: &Global, work: impl AsyncFnOnce(Client) -> Result<()>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let tasks = Tasks::new(Clock::real());
        let client = Client::connect(client::Settings::new(
            &global.nameservers,
            Net::real(),
            tasks.clone(),
        ))
        .await
        .map_err(explained)?;
        let outcome = match work(client.clone()).await.map_err(|why| why.downcast()) {
            Err(Ok(client::Error::NoRoute { topic, .. })) => Err(no_topic(&client, &topic).await),
            Err(Ok(why)) => Err(explained(why)),
            Err(Err(why)) => Err(match why.downcast::<NameError>() {
                Ok(why) => explained(why.into()),
                Err(why) => why,
            }),
            Ok(()) => Ok(()),
        };
        tasks.stop(STOP).await;
        outcome
    })
}

/// What the client could not do, as a reader needs it.
pub fn explained(why: client::Error) -> anyhow::Error {
    use client::Error;
    let text = why.to_string();
    let failure = match &why {
        Error::Unreachable { .. } | Error::TimedOut { .. } => Failure::new(Exit::Unreachable, "unreachable", text)
            .why("the name server's address comes from -n, MILLSTREAM_NAMESERVERS or its default; a broker's from its route")
            .fix("start a house:  millstream up"),
        Error::NoBroker { .. } | Error::NoQueues { .. } => Failure::new(Exit::Unreachable, "broker.none", text)
            .why("a broker registers with every name server it is given, and is forgotten when it stops")
            .fix("is a broker running and registered?  millstream up"),
        Error::Name(_) => Failure::new(Exit::Usage, "usage", text)
            .why("names are part of the protocol, and other clients could not use this one")
            .fix("choose a name of allowed characters"),
        Error::Illegal { .. } => Failure::new(Exit::Usage, "usage", text)
            .why("nothing was sent: no broker could take it")
            .fix("see  millstream --help"),
        Error::Refused { address, asked, code, remark } => {
            let (what, rest) = remark.trim().split_once('\n').unwrap_or((remark.trim(), ""));
            let who = format!("{address} answered {asked} with code {code}");
            let fix = match *code {
                ResponseCode::SUBSCRIPTION_PARSE_FAILED => "mend the condition, as in  --filter \"price > 5 AND colour = 'blue'\"",
                _ => "change what is asked; what there is:  millstream topic list, millstream group list",
            };
            Failure::new(Exit::Usage, "refused", what).why([rest, &who].join("\n").trim_start_matches('\n')).fix(fix)
        }
        Error::Unsent { .. } => Failure::new(Exit::Usage, "refused", text)
            .why("no attempt was acknowledged; the message may have been stored all the same")
            .fix("see whether it is there:  millstream consume TOPIC --drain"),
        _ => Failure::new(Exit::Usage, "refused", text)
            .fix("see what there is:  millstream topic list, millstream group list"),
    };
    failure.into()
}

/// A topic that nobody serves, with the names it may have been meant for.
async fn no_topic(client: &Client, topic: &Topic) -> anyhow::Error {
    let known = topic::visible(client).await.unwrap_or_default();
    Failure::new(
        Exit::NotFound,
        "topic.not-found",
        format!("topic {:?} does not exist", topic.as_str()),
    )
    .why(searched(
        topic.as_str(),
        "topics",
        known.iter().map(Topic::as_str).collect(),
    ))
    .fix(format!("make it:  millstream topic create {topic}"))
    .into()
}

/// What was searched in vain, and what is nearest to it.
pub fn searched(word: &str, kind: &str, known: Vec<&str>) -> String {
    let near = nearest(word, known.iter().copied());
    match near.as_slice() {
        [] => format!("of {} {kind} none has a name like it", known.len()),
        near => format!("of {} {kind} the nearest: {}", known.len(), near.join(", ")),
    }
}

/// Asks before something is lost; `--yes` answers for scripts.
pub fn confirm(yes: bool, what: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        bail!(
            Failure::new(Exit::Usage, "confirm", format!("{what} would be deleted"))
                .why("nobody can be asked: standard input is no terminal")
                .fix("say --yes")
        );
    }
    eprint!("delete {what}? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if !matches!(answer.trim(), "y" | "Y" | "yes") {
        bail!(
            Failure::new(Exit::Usage, "confirm", "nothing was deleted")
                .why(format!("the question about {what} was not answered with y"))
                .fix("answer y, or say --yes")
        );
    }
    Ok(())
}

//! A whole run: topics made, messages sent and read, every count verified.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};

use super::frame::{SMALLEST_BODY, Shape, Template};
use super::group::Group;
use super::java::JavaClient;
use super::ledger::{Marks, check};
use super::plan::{Client, Plan};
use super::produce::{Sending, produce};
use super::producer::{Answers, Producer};
use super::report::{Consumed, Cost, LoadReport, refusal};
use super::rpc::{Rpc, only_broker, resolve};
use super::subscription::{CLASSES, Subscription, class_properties, kept_classes};
use super::traffic::Traffic;
use crate::clock::{now, own_cpu};
use crate::cores;
use crate::usage::Usage;

/// How long the broker's indexes may lag behind its last answer, in ns.
const INDEXING: u64 = 30_000_000_000;
/// The port of a name server that nobody named.
const NAME_SERVER: u16 = 9876;

/// Runs the plan to its end; fails if anything was lost, came twice, or came out of order.
pub fn run(plan: &Plan) -> Result<LoadReport> {
    ensure!(
        plan.body >= SMALLEST_BODY && plan.batch > 0 && plan.producers > 0 && plan.depth > 0,
        "a body has at least {SMALLEST_BODY} bytes, and there is at least one of all else"
    );
    if let Some(core) = plan.core {
        cores::pin(core)?;
    }
    let broker = Broker::find(plan)?;
    if plan.client == Client::Java {
        let names = name_server(plan, &broker);
        return JavaClient::start(broker.address, &names)?.run(plan);
    }
    let topics = plan.topic_names();
    let mut rpc = Rpc::connect(broker.address)?;
    make_topics(plan, &mut rpc)?;
    let templates = templates(plan, &broker, &topics);
    let mut traffic = connect(plan, &broker, &topics)?;
    let backlog = backlog(plan, &broker)?;
    let mut answers = Answers::default();
    let sending = Sending {
        plan,
        templates: &templates,
        backlog,
    };
    let (mut produced, caught_up) = produce(sending, &mut traffic, &mut answers)?;
    let expected = (answers.acknowledged.count(), produced.sent);
    let ends = ends(plan, &mut rpc, &topics, expected)?;
    let readers = Readers {
        plan,
        broker: broker.address,
        topics: &topics,
        ends: &ends,
        sent: produced.sent,
        acknowledged: &answers.acknowledged,
    };
    let live = match plan.groups {
        0 => Vec::new(),
        _ => readers.finish_live(&mut traffic)?,
    };
    drop(traffic);
    let drained = plan.drain.iter().enumerate();
    let drained = drained.map(|(number, subscription)| readers.drain(number, *subscription));
    let drained = drained.collect::<Result<_>>()?;
    produced.broker_micros = produced.cost.broker_micros(produced.measured);
    // A backlog is read as fast as it goes; whoever uses that looks at the share.
    let paced = plan.core.is_some() && plan.backlog.is_none();
    let refused = refusal(plan.pace(), paced, produced.cost.own_share());
    Ok(LoadReport {
        produced,
        live,
        drained,
        caught_up,
        refused,
    })
}

/// Makes the plan's topics.
pub fn make_topics(plan: &Plan, rpc: &mut Rpc) -> Result<()> {
    for topic in plan.topic_names() {
        rpc.create_topic(&topic, plan.queues, plan.attributes.as_deref())?;
    }
    Ok(())
}

/// Reads to the ends of all queues and verifies what came.
struct Readers<'a> {
    plan: &'a Plan,
    broker: SocketAddr,
    topics: &'a [String],
    ends: &'a [u64],
    sent: u64,
    acknowledged: &'a Marks,
}

impl Readers<'_> {
    /// The groups that have read all the time.
    fn finish_live(&self, traffic: &mut Traffic) -> Result<Vec<Consumed>> {
        for group in &mut traffic.groups {
            group.end_at(self.ends);
        }
        finish(traffic)?;
        let report = |group: &Group| {
            self.verify(group, Subscription::All)?;
            Ok(group.report())
        };
        traffic.groups.iter().map(report).collect()
    }

    /// One group reads alone what is there; what that cost both sides.
    fn drain(&self, number: usize, subscription: Subscription) -> Result<Consumed> {
        let name = format!("{}-drain-{number}", self.plan.topic);
        let queues = self.plan.queues;
        let mut group = Group::join(self.broker, name, self.topics, queues, subscription)?;
        group.end_at(self.ends);
        group.time_from(u64::MAX);
        let usage = || self.plan.process.map(Usage::of).transpose();
        let (before, begun, own) = (usage()?, now(), own_cpu());
        let mut traffic = Traffic::new(Vec::new(), vec![group], self.plan.batch)?;
        finish(&mut traffic)?;
        let cost = Cost {
            seconds: (now() - begun) as f64 / 1e9,
            own_cpu_seconds: own_cpu() - own,
            broker: usage()?
                .zip(before)
                .map(|(after, before)| after.since(&before)),
        };
        let group = traffic.leave().context("the group is still there")?;
        self.verify(&group, subscription)?;
        let report = group.report();
        Ok(Consumed {
            measured: report.delivered,
            cost: Some(cost),
            ..report
        })
    }

    fn verify(&self, group: &Group, subscription: Subscription) -> Result<()> {
        let kept = kept_classes(subscription);
        let wanted = |number: u64| kept[(number % CLASSES) as usize];
        check(self.sent, self.acknowledged, &group.delivered, wanted)
            .with_context(|| format!("group {}", group.report().group))
    }
}

/// Where the broker is and what it is called.
struct Broker {
    address: SocketAddr,
    name: String,
}

impl Broker {
    fn find(plan: &Plan) -> Result<Broker> {
        let named = plan.name_server.as_deref().map(only_broker).transpose()?;
        Ok(match (&plan.broker, named) {
            (Some(given), named) => Broker {
                address: resolve(given)?,
                name: named.map_or_else(|| "broker-a".to_owned(), |(_, name)| name),
            },
            (None, Some((address, name))) => Broker { address, name },
            (None, None) => anyhow::bail!("a broker or a name server is needed"),
        })
    }
}

/// The name server that was given, or the one at the broker's address.
fn name_server(plan: &Plan, broker: &Broker) -> String {
    let beside = || SocketAddr::new(broker.address.ip(), NAME_SERVER).to_string();
    plan.name_server.clone().unwrap_or_else(beside)
}

/// One template for each topic, or for each class of properties.
fn templates(plan: &Plan, broker: &Broker, topics: &[String]) -> Vec<Template> {
    let shape = |topic: &String| Shape {
        topic: topic.clone(),
        broker: broker.name.clone(),
        queues: plan.queues,
        body: plan.body,
        batch: plan.batch,
    };
    if plan.properties {
        let shape = shape(&topics[0]);
        return (0..CLASSES)
            .map(|class| Template::new(&shape, &class_properties(class)))
            .collect();
    }
    topics
        .iter()
        .map(|topic| Template::new(&shape(topic), &[]))
        .collect()
}

fn connect(plan: &Plan, broker: &Broker, topics: &[String]) -> Result<Traffic> {
    let producers = (0..plan.producers)
        .map(|_| Producer::connect(broker.address, plan.depth))
        .collect::<Result<_>>()?;
    let groups = (0..plan.groups)
        .map(|number| {
            let name = format!("{}-live-{number}", plan.topic);
            Group::join(broker.address, name, topics, plan.queues, Subscription::All)
        })
        .collect::<Result<_>>()?;
    Traffic::new(producers, groups, plan.batch)
}

/// The group that reads an earlier run's topic meanwhile, to where that ends.
fn backlog(plan: &Plan, broker: &Broker) -> Result<Option<(Group, u64)>> {
    let Some(topic) = &plan.backlog else {
        return Ok(None);
    };
    let topics = [topic.clone()];
    let mut rpc = Rpc::connect(broker.address)?;
    let messages = plan.backlog_messages.unwrap_or_default();
    let ends = ends(plan, &mut rpc, &topics, (messages, messages))?;
    let name = format!("{topic}-backlog");
    let mut group = Group::join(
        broker.address,
        name,
        &topics,
        plan.queues,
        Subscription::All,
    )?;
    group.end_at(&ends);
    Ok(Some((group, messages)))
}

/// Where every queue ends, once as many messages are shown as were acknowledged; fails if they
/// are more than were sent. `expected` is both numbers.
fn ends(plan: &Plan, rpc: &mut Rpc, topics: &[String], expected: (u64, u64)) -> Result<Vec<u64>> {
    let begun = now();
    let (least, most) = expected;
    loop {
        let (mut ends, mut shown) = (Vec::new(), 0);
        for topic in topics {
            for queue in 0..plan.queues {
                let (min, max) = rpc.bounds(topic, queue)?;
                ends.push(max);
                shown += max - min;
            }
        }
        ensure!(
            shown <= most,
            "the queues show {shown} messages, {most} were sent; a topic has to be new"
        );
        if shown >= least {
            return Ok(ends);
        }
        ensure!(
            now() - begun < INDEXING,
            "the queues show {shown} messages, {least} were acknowledged"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Reads on until every group has reached the ends of its queues.
fn finish(traffic: &mut Traffic) -> Result<()> {
    while !traffic.groups.iter().all(Group::is_done) {
        traffic.turn(None, &mut Answers::default())?;
        traffic.still_alive("messages were acknowledged and do not arrive")?;
    }
    Ok(())
}

//! The load by our own client: senders, readers, and a group that shares the queues.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use client::{Client, NewTopic, PushConsumer, Settings};
use history::Event;
use model::{QueueId, Topic};
use runtime::{Clock, Net, Rng, Task, Tasks};
use tokio::runtime::{Builder, Runtime};

use crate::delays::{self, DelayedSender};
use crate::producers::Sender;
use crate::readers::{Reader, SHARING, ask_progress, drain, join};
use crate::recorder::Recorder;

pub(crate) const TOPIC: &str = "Chaos";
pub(crate) const QUEUES: u32 = 8;
const SENDERS: u32 = 4;
const MEMBERS: u32 = 2;
/// Time within which everything acknowledged is delivered once all has healed.
const LIVENESS: Duration = Duration::from_secs(120);
/// How long a broker that serves may take to make a topic and tell of it.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct RustLoad {
    runtime: Runtime,
    tasks: Tasks,
    recorder: Recorder,
    client: Client,
    queues: Vec<QueueId>,
    /// Those of delayed messages, where there are any.
    delayed: Vec<QueueId>,
    stopped: Arc<AtomicBool>,
    /// Delayed messages are read for as long as they come.
    came: Arc<AtomicBool>,
    senders: Vec<Task<()>>,
    readers: Vec<Task<()>>,
    delayed_readers: Vec<Task<()>>,
    members: Vec<PushConsumer>,
}

impl RustLoad {
    /// `delayed` tells whether messages are sent that come later.
    pub(crate) fn start(
        name_server: &str,
        recorder: &Recorder,
        rng: &Rng,
        delayed: bool,
    ) -> Result<RustLoad> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let tasks = {
            let _inside = runtime.enter();
            Tasks::new(Clock::real())
        };
        let topic = Topic::parse(TOPIC)?;
        let client = runtime.block_on(async {
            let client = connect(&tasks, name_server).await?;
            make(&client, tasks.clock(), NewTopic::new(topic.clone(), QUEUES)).await?;
            anyhow::Ok(client)
        })?;
        let mut load = RustLoad {
            tasks,
            recorder: recorder.clone(),
            client,
            queues: queues(&topic, QUEUES),
            delayed: Vec::new(),
            stopped: Arc::default(),
            came: Arc::default(),
            senders: Vec::new(),
            readers: Vec::new(),
            delayed_readers: Vec::new(),
            members: Vec::new(),
            runtime,
        };
        load.people(name_server, &topic, rng)?;
        if delayed {
            load.delay(name_server, rng)?;
        }
        Ok(load)
    }

    /// Sends messages that come later, and reads them as they come.
    fn delay(&mut self, name_server: &str, rng: &Rng) -> Result<()> {
        let topic = Topic::parse(delays::TOPIC)?;
        let clock = self.tasks.clock().clone();
        let new = NewTopic::new(topic.clone(), delays::QUEUES);
        self.runtime.block_on(make(&self.client, &clock, new))?;
        let connected = self.runtime.block_on(connect(&self.tasks, name_server));
        let _inside = self.runtime.enter();
        let sender = DelayedSender {
            topic: topic.clone(),
            recorder: self.recorder.clone(),
            rng: rng.split("sender of delayed messages"),
            clock,
            stopped: self.stopped.clone(),
        };
        self.senders
            .push(self.tasks.spawn("send", sender.run(connected?)));
        self.delayed = queues(&topic, delays::QUEUES);
        let readers = (QUEUES..).zip(&self.delayed);
        let readers = readers.map(|(number, queue)| self.reader(number, queue, rng, &self.came));
        self.delayed_readers = readers.collect();
        Ok(())
    }

    fn reader(
        &self,
        number: u32,
        queue: &QueueId,
        rng: &Rng,
        stopped: &Arc<AtomicBool>,
    ) -> Task<()> {
        let reader = Reader {
            number,
            queue: queue.clone(),
            recorder: self.recorder.clone(),
            rng: rng.split(&format!("reader {number}")),
            clock: self.tasks.clock().clone(),
            stopped: stopped.clone(),
        };
        self.tasks.spawn("read", reader.run(self.client.clone()))
    }

    fn people(&mut self, name_server: &str, topic: &Topic, rng: &Rng) -> Result<()> {
        let _inside = self.runtime.enter();
        let clock = self.tasks.clock().clone();
        for number in 0..SENDERS {
            let sender = Sender {
                number,
                topic: topic.clone(),
                recorder: self.recorder.clone(),
                rng: rng.split(&format!("sender {number}")),
                clock: clock.clone(),
                stopped: self.stopped.clone(),
            };
            // Each has a connection of its own.
            let client = connect(&self.tasks, name_server);
            let client = self.runtime.block_on(client)?;
            self.senders
                .push(self.tasks.spawn("send", sender.run(client)));
        }
        let readers = (0..).zip(&self.queues);
        let readers = readers.map(|(number, queue)| self.reader(number, queue, rng, &self.stopped));
        self.readers = readers.collect();
        for _ in 0..MEMBERS {
            let member = async {
                let client = connect(&self.tasks, name_server).await?;
                join(&client, topic, &self.recorder).await
            };
            let member = self.runtime.block_on(member)?;
            self.members.push(member);
        }
        Ok(())
    }

    /// Ends the sending; the readers go on.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.stopped.store(true, Ordering::Relaxed);
        let tasks = self.senders.drain(..).chain(self.readers.drain(..));
        end(&self.runtime, tasks)
    }

    /// Reads everything, and waits until the group has finished it.
    pub(crate) fn drain(&mut self) -> Result<()> {
        delays::await_all(&self.recorder, self.tasks.clock())?;
        self.came.store(true, Ordering::Relaxed);
        end(&self.runtime, self.delayed_readers.drain(..))?;
        for queue in self.queues.iter().chain(&self.delayed) {
            self.runtime
                .block_on(drain(&self.client, queue, &self.recorder))?;
        }
        let clock = self.tasks.clock().clone();
        let begun = clock.now();
        let open = |queue| self.recorder.unfinished(SHARING, queue);
        while let Some(what) = self.queues.iter().find_map(open) {
            if clock.now().since(begun) > LIVENESS {
                bail!("D10: the sharing group did not get {what} within {LIVENESS:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        for queue in &self.queues {
            let number = self.recorder.queue(queue);
            self.recorder.add(Event::Caught {
                group: SHARING,
                queue: number,
            });
            self.runtime
                .block_on(ask_progress(&self.client, queue, &self.recorder))?;
        }
        Ok(())
    }
}

impl Drop for RustLoad {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.came.store(true, Ordering::Relaxed);
        self.members.clear();
        self.runtime
            .block_on(self.tasks.stop(Duration::from_secs(1)));
    }
}

fn queues(topic: &Topic, count: u32) -> Vec<QueueId> {
    let number = |number| QueueId::new(topic.clone(), number);
    (0..count).map(number).collect()
}

fn end(runtime: &Runtime, tasks: impl Iterator<Item = Task<()>>) -> Result<()> {
    for task in tasks {
        let ended = runtime.block_on(task);
        ended.map_err(|why| anyhow::anyhow!("a client's task did not end: {why:?}"))?;
    }
    Ok(())
}

/// Makes a topic; tries until it is there.
async fn make(client: &Client, clock: &Clock, new: NewTopic) -> Result<()> {
    let begun = clock.now();
    // The broker may not have registered yet.
    while let Err(why) = client.admin().create_topic(&new).await {
        if clock.now().since(begun) > PATIENCE {
            return Err(why).context("the topic cannot be made");
        }
        clock.sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A client; tries until the name server can be reached.
pub(crate) async fn connect(tasks: &Tasks, name_server: &str) -> Result<Client> {
    let clock = tasks.clock().clone();
    let begun = clock.now();
    loop {
        let settings = Settings::new(name_server, Net::real(), tasks.clone());
        match Client::connect(settings).await {
            Ok(client) => return Ok(client),
            Err(why) if clock.now().since(begun) > PATIENCE => {
                return Err(why).context("no name server");
            }
            Err(_) => clock.sleep(Duration::from_millis(20)).await,
        }
    }
}

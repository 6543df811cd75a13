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
    stopped: Arc<AtomicBool>,
    senders: Vec<Task<()>>,
    readers: Vec<Task<()>>,
    members: Vec<PushConsumer>,
}

impl RustLoad {
    pub(crate) fn start(name_server: &str, recorder: &Recorder, rng: &Rng) -> Result<RustLoad> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let tasks = {
            let _inside = runtime.enter();
            Tasks::new(Clock::real())
        };
        let topic = Topic::parse(TOPIC)?;
        let begin = begin(&tasks, name_server, &topic);
        let client = runtime.block_on(begin)?;
        let mut load = RustLoad {
            tasks,
            recorder: recorder.clone(),
            client,
            queues: (0..QUEUES)
                .map(|number| QueueId::new(topic.clone(), number))
                .collect(),
            stopped: Arc::new(AtomicBool::new(false)),
            senders: Vec::new(),
            readers: Vec::new(),
            members: Vec::new(),
            runtime,
        };
        load.people(name_server, &topic, rng)?;
        Ok(load)
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
        for (number, queue) in (0..).zip(&self.queues) {
            let reader = Reader {
                number,
                queue: queue.clone(),
                recorder: self.recorder.clone(),
                rng: rng.split(&format!("reader {number}")),
                clock: clock.clone(),
                stopped: self.stopped.clone(),
            };
            self.readers
                .push(self.tasks.spawn("read", reader.run(self.client.clone())));
        }
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
        for task in self.senders.drain(..).chain(self.readers.drain(..)) {
            let ended = self.runtime.block_on(task);
            ended.map_err(|why| anyhow::anyhow!("a client's task did not end: {why:?}"))?;
        }
        Ok(())
    }

    /// Reads everything, and waits until the group has finished it.
    pub(crate) fn drain(&mut self) -> Result<()> {
        for queue in &self.queues {
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
        self.members.clear();
        self.runtime
            .block_on(self.tasks.stop(Duration::from_secs(1)));
    }
}

async fn begin(tasks: &Tasks, name_server: &str, topic: &Topic) -> Result<Client> {
    let clock = tasks.clock().clone();
    let client = connect(tasks, name_server).await?;
    let begun = clock.now();
    let new = NewTopic::new(topic.clone(), QUEUES);
    // The broker may not have registered yet.
    while let Err(why) = client.admin().create_topic(&new).await {
        if clock.now().since(begun) > PATIENCE {
            return Err(why).context("the topic cannot be made");
        }
        clock.sleep(Duration::from_millis(50)).await;
    }
    Ok(client)
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

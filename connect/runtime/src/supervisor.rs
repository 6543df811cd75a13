//! One connector: divided into tasks, which are started, stopped, and left alone when nothing
//! changes for them.

use std::sync::Arc;
use std::time::Duration;

use connect_sdk::{Context, Error, ErrorKind, Kind, TaskCount, TaskOptions};
use runtime::{Clock, Disk, Moment, Net, Rng, Task, Tasks};
use tokio::sync::{mpsc, oneshot, watch};

use crate::broker::Broker;
use crate::config::Config;
use crate::layout::Layout;
use crate::retry::Backoff;
use crate::status::{Board, State, TaskStatus};
use crate::task::{self, Ended, Orders, Target, TaskEnv, broker_error, trace};

/// What a supervisor is told.
pub(crate) enum Command {
    /// Run with this configuration from now on.
    Configure(Arc<Config>),
    /// What is wanted of the connector.
    Target(Target),
    /// Begin anew: the connector, all its tasks or only those that failed.
    Restart(Restart),
    /// Begin one task anew.
    RestartTask(usize),
    /// Stop everything and end.
    End(oneshot::Sender<()>),
}

/// What shall begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restart {
    pub(crate) include_tasks: bool,
    pub(crate) only_failed: bool,
}

/// What every connector of a worker shares.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Clock,
    pub(crate) net: Net,
    pub(crate) rng: Rng,
    pub(crate) tasks: Tasks,
    pub(crate) board: Board,
}

/// Starts a supervisor and returns the way to tell it something.
pub(crate) fn start(house: &House, config: Arc<Config>, target: Target) -> mpsc::Sender<Command> {
    let (commands, received) = mpsc::channel(16);
    let (ended, endings) = mpsc::channel(16);
    let name = format!("connect {}", config.name);
    let supervisor = Supervisor {
        house: house.clone(),
        config,
        target,
        tasks: Vec::new(),
        restarts: 0,
        launched: None,
        commands: received,
        ended,
        endings,
    };
    drop(house.tasks.spawn(name, supervisor.run()));
    commands
}

struct Supervisor {
    house: House,
    config: Arc<Config>,
    target: Target,
    tasks: Vec<Running>,
    restarts: u64,
    launched: Option<Launched>,
    commands: mpsc::Receiver<Command>,
    /// Tasks say here that they have ended, and how.
    ended: mpsc::Sender<Ended>,
    endings: mpsc::Receiver<Ended>,
}

/// What the tasks of one launch share.
#[derive(Clone, Copy)]
struct Launched {
    generation: u64,
}

struct Running {
    options: TaskOptions,
    orders: watch::Sender<Orders>,
    task: Task<Ended>,
}

impl Supervisor {
    async fn run(mut self) {
        let shutdown = self.house.tasks.shutdown();
        let mut backoff = self.backoff();
        let mut retry = None;
        // Orders carried out once the loop comes round to launching.
        let mut obeyed = 0;
        loop {
            if self.launched.is_none() && retry.is_none() && self.target != Target::Stopped {
                match self.launch().await {
                    Ok(()) => backoff.reset(),
                    Err(error) => retry = Some(self.report(&error, &mut backoff)),
                }
            }
            if self.target == Target::Stopped {
                self.show(State::Stopped, None);
            }
            let settled = std::mem::take(&mut obeyed);
            self.house.board.change(&self.config.name, |status| {
                status.due = status.due.saturating_sub(settled)
            });
            let again = async {
                match retry {
                    Some(at) => self.house.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let command = tokio::select! {
                biased;
                () = shutdown.requested() => {
                    self.stop_tasks().await;
                    return;
                }
                command = self.commands.recv() => command,
                Some(ended) = self.endings.recv() => {
                    if let Some(why) = ended.begins_anew() {
                        tracing::info!(connector = self.config.name, why, "the connector takes its job over anew");
                        self.stop_tasks().await;
                    }
                    continue;
                }
                () = again => {
                    retry = None;
                    continue;
                }
            };
            // Whatever comes is a reason to try again at once.
            retry = None;
            match command {
                None => {
                    self.stop_tasks().await;
                    return;
                }
                Some(Command::End(done)) => {
                    self.stop_tasks().await;
                    let _ = done.send(());
                    return;
                }
                Some(command) => {
                    let is_new = matches!(command, Command::Configure(_));
                    self.obey(command).await;
                    if is_new {
                        backoff = self.backoff();
                    }
                    obeyed = 1;
                }
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Configure(config) => {
                if let Err(error) = self.configure(config).await {
                    tracing::warn!(connector = self.config.name, %error, "the connector could not be divided");
                    self.stop_tasks().await;
                }
            }
            Command::Target(target) => {
                self.target = target;
                if target == Target::Stopped {
                    self.stop_tasks().await;
                } else if self.launched.is_some() {
                    self.order_all();
                    self.show(state_of(target), None);
                }
            }
            Command::Restart(restart) if restart.include_tasks || restart.only_failed => {
                let failed = self.failed_tasks();
                for number in 0..self.tasks.len() {
                    if restart.include_tasks && (!restart.only_failed || failed.contains(&number)) {
                        self.restart_task(number);
                    }
                }
            }
            // The instance alone: it has no state of its own beyond a failed launch.
            Command::Restart(_) => {}
            Command::RestartTask(number) => self.restart_task(number),
            Command::End(_) => unreachable!("the caller ends"),
        }
    }

    fn restart_task(&mut self, number: usize) {
        self.restarts += 1;
        let (target, restarts) = (self.target, self.restarts);
        if let Some(running) = self.tasks.get(number) {
            self.house
                .board
                .change_task(&self.config.name, number, |task| {
                    task.state = State::Restarting;
                    task.ended = false;
                });
            running.orders.send_replace(Orders { target, restarts });
        }
    }

    fn failed_tasks(&self) -> Vec<usize> {
        let status = self.house.board.get(&self.config.name);
        let tasks = status.map(|status| status.tasks).unwrap_or_default();
        let failed =
            |(number, task): (usize, &TaskStatus)| (task.state == State::Failed).then_some(number);
        tasks.iter().enumerate().filter_map(failed).collect()
    }

    /// Takes the job over and starts every task.
    async fn launch(&mut self) -> Result<(), Error> {
        let job = self.config.job();
        let generation = self.house.broker.fence(&job).await.map_err(broker_error)?;
        let parts = self.divide(generation).await?;
        let Layout {
            number: layout,
            shards,
        } = self.lay_out(parts.len()).await?;
        self.house.board.change(&self.config.name, |status| {
            status.tasks = vec![TaskStatus::default(); parts.len()];
        });
        self.launched = Some(Launched { generation });
        let count = parts.len();
        for (number, options) in parts.into_iter().enumerate() {
            let running = self.start_task(number, count, options, layout, shards);
            self.tasks.push(running);
        }
        self.show(state_of(self.target), None);
        Ok(())
    }

    /// Takes a new configuration and restarts only the tasks it changes.
    async fn configure(&mut self, config: Arc<Config>) -> Result<(), Error> {
        let before = std::mem::replace(&mut self.config, config);
        let Some(launched) = self.launched else {
            return Ok(());
        };
        let same = before.common == self.config.common
            && before.format == self.config.format
            && before.format_options == self.config.format_options
            && before.description.name == self.config.description.name;
        if !same {
            self.stop_tasks().await;
            return Ok(());
        }
        let parts = self.divide(launched.generation).await?;
        if parts.len() == self.tasks.len()
            && parts
                .iter()
                .zip(&self.tasks)
                .all(|(part, running)| *part == running.options)
        {
            return Ok(());
        }
        if self.config.kind() == Kind::Sink && parts.len() != self.tasks.len() {
            // The queues are dealt out anew.
            self.stop_tasks().await;
            return Ok(());
        }
        let Layout {
            number: layout,
            shards,
        } = self.lay_out(parts.len()).await?;
        let count = parts.len();
        let before = std::mem::take(&mut self.tasks);
        let mut kept = Vec::new();
        for (number, running) in before.into_iter().enumerate() {
            if parts.get(number) == Some(&running.options) {
                kept.push((number, running));
            } else if stop(running, self.restarts).await.begins_anew().is_some() {
                for (_, running) in kept {
                    stop(running, self.restarts).await;
                }
                self.launched = None;
                return Ok(());
            }
        }
        self.house.board.change(&self.config.name, |status| {
            status.tasks.resize(count, TaskStatus::default())
        });
        let mut kept = kept.into_iter().peekable();
        for (number, options) in parts.into_iter().enumerate() {
            let running = match kept.next_if(|(place, _)| *place == number) {
                Some((_, running)) => running,
                None => {
                    self.house
                        .board
                        .change_task(&self.config.name, number, |task| {
                            *task = TaskStatus::default()
                        });
                    self.start_task(number, count, options, layout, shards)
                }
            };
            self.tasks.push(running);
        }
        Ok(())
    }

    async fn divide(&self, generation: u64) -> Result<Vec<TaskOptions>, Error> {
        let context = Context {
            connector: self.config.name.clone(),
            task: 0,
            generation,
            disk: self.house.disk.clone(),
            clock: self.house.clock.clone(),
            net: self.house.net.clone(),
            rng: self.house.rng.split(&self.config.name),
            tasks: self.house.tasks.clone(),
        };
        let limit = TaskCount::new(self.config.task_limit());
        let mut parts = self
            .config
            .connector
            .divide(&self.config.own, limit, &context)
            .await?;
        parts.truncate(limit.get());
        Ok(parts)
    }

    async fn lay_out(&self, tasks: usize) -> Result<Layout, Error> {
        let broker = self.house.broker.as_ref();
        Layout::begin(broker, &self.config.name, tasks)
            .await
            .map_err(broker_error)
    }

    fn start_task(
        &self,
        number: usize,
        count: usize,
        options: TaskOptions,
        layout: u64,
        shards: u32,
    ) -> Running {
        let house = &self.house;
        let (orders, receiver) = watch::channel(Orders {
            target: self.target,
            restarts: self.restarts,
        });
        let name = format!("connect {} {number}", self.config.name);
        let env = TaskEnv {
            config: self.config.clone(),
            options: options.clone(),
            number,
            count,
            generation: self.launched.map_or(0, |launched| launched.generation),
            layout,
            shards,
            broker: house.broker.clone(),
            disk: house.disk.clone(),
            clock: house.clock.clone(),
            net: house.net.clone(),
            rng: house.rng.split(&name),
            tasks: house.tasks.clone(),
            board: house.board.clone(),
            orders: receiver,
        };
        let ended = self.ended.clone();
        let task = house.tasks.spawn(name, async move {
            let how = task::run(env).await;
            // Nobody listens while the supervisor itself waits for the end.
            let _ = ended.try_send(how);
            how
        });
        Running {
            options,
            orders,
            task,
        }
    }

    fn order_all(&self) {
        for running in &self.tasks {
            running
                .orders
                .send_modify(|orders| orders.target = self.target);
        }
    }

    /// Stops every task and waits for them. The next launch takes the job over anew, so nothing
    /// they left behind counts.
    async fn stop_tasks(&mut self) {
        for running in &self.tasks {
            running
                .orders
                .send_modify(|orders| orders.target = Target::Stopped);
        }
        for running in std::mem::take(&mut self.tasks) {
            stop(running, self.restarts).await;
        }
        while self.endings.try_recv().is_ok() {}
        self.launched = None;
        self.house
            .board
            .change(&self.config.name, |status| status.tasks.clear());
    }

    fn backoff(&self) -> Backoff {
        let rng = self.house.rng.split(&self.config.name);
        Backoff::of(&self.config.common, rng)
    }

    /// Shows why a launch failed, and says when to try again.
    fn report(&self, error: &Error, backoff: &mut Backoff) -> Moment {
        let now = self.house.clock.now();
        let wait = backoff.next(now);
        let lasting = matches!(
            error.kind(),
            ErrorKind::Config | ErrorKind::Poison | ErrorKind::Fenced
        );
        let state = if lasting || backoff.is_open(now) {
            State::Failed
        } else {
            State::Restarting
        };
        tracing::warn!(connector = self.config.name, %error, state = state.name(), "the connector could not be started");
        self.show(state, Some(trace(error)));
        let wait = if lasting {
            Duration::from_secs(3_600)
        } else {
            wait
        };
        now + wait
    }

    fn show(&self, state: State, trace: Option<String>) {
        self.house.board.change(&self.config.name, |status| {
            status.state = state;
            status.trace = trace;
            status.kind = self.config.kind();
        });
    }
}

async fn stop(running: Running, restarts: u64) -> Ended {
    running.orders.send_replace(Orders {
        target: Target::Stopped,
        restarts,
    });
    // A task that panicked left who knows what under way.
    running.task.await.unwrap_or(Ended::Unknown)
}

fn state_of(target: Target) -> State {
    match target {
        Target::Running => State::Running,
        Target::Paused => State::Paused,
        Target::Stopped => State::Stopped,
    }
}

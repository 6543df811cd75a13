//! The one task that owns the connectors: it starts, changes, keeps and ends them, one request
//! after another.

use std::collections::BTreeMap;
use std::sync::Arc;

use connect_sdk::Kind;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::Error;
use crate::config::{self, Config, Flat};
use crate::reposition::{Change, Reposition};
use crate::status::{ConnectorStatus, State};
use crate::supervisor::{self, Command, House, Restart};
use crate::task::Target;
use crate::topics;
use crate::worker::Parts;

/// Where the configurations are kept.
const CONFIGS: &str = "CONNECT_CONFIGS";

/// The configurations as readers see them. Guards a plain map; written by the owner only.
pub(crate) type Connectors = Arc<Mutex<BTreeMap<String, Kept>>>;

/// What is kept of a connector.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) config: Flat,
    pub(crate) target: String,
}

impl Kept {
    pub(crate) fn target(&self) -> Target {
        target_of(&self.target)
    }
}

/// What a configuration may take the place of.
pub(crate) enum Over {
    /// Whatever there is, or nothing.
    Any,
    /// Nothing: the connector is new.
    Nothing,
    /// This one and no later one.
    This(Flat),
}

impl Over {
    pub(crate) fn allows(&self, name: &str, known: Option<&Kept>) -> Result<(), Error> {
        let name = || name.to_owned();
        match (self, known) {
            (Self::Nothing, Some(_)) => Err(Error::Exists { name: name() }),
            (Self::This(_), None) => Err(Error::NotFound { name: name() }),
            (Self::This(config), Some(known)) if *config != known.config => {
                Err(Error::Changed { name: name() })
            }
            _ => Ok(()),
        }
    }
}

pub(crate) enum Request {
    Put {
        name: String,
        config: Flat,
        over: Over,
        target: Option<Target>,
        done: Done<bool>,
    },
    Delete {
        name: String,
        done: Done<()>,
    },
    Target {
        name: String,
        target: Target,
        done: Done<()>,
    },
    Restart {
        name: String,
        restart: Restart,
        done: Done<()>,
    },
    RestartTask {
        name: String,
        task: usize,
        done: Done<()>,
    },
    Reposition {
        name: String,
        change: Change,
        done: Done<()>,
    },
    ResetTopics {
        name: String,
        done: Done<()>,
    },
    /// Stop every connector, keeping what is wanted of it, and take no more requests.
    Close {
        done: Done<()>,
    },
}

pub(crate) type Done<T> = oneshot::Sender<Result<T, Error>>;

/// Owns the connectors. Nobody else starts, stops or keeps one.
pub(crate) struct Owner {
    pub(crate) house: House,
    pub(crate) parts: Arc<Parts>,
    pub(crate) connectors: Connectors,
    pub(crate) supervisors: BTreeMap<String, mpsc::Sender<Command>>,
}

impl Owner {
    pub(crate) async fn restore(&mut self) -> Result<(), Error> {
        for (name, record) in self.parts.broker.records(CONFIGS).await? {
            let Ok(kept) = serde_json::from_str::<Kept>(&record) else {
                tracing::error!(name, "a kept configuration cannot be read and is set aside");
                continue;
            };
            let checked = config::check(
                &self.parts.catalogue,
                &kept.config,
                self.parts.disk.as_ref(),
            );
            let target = kept.target();
            self.connectors.lock().insert(name.clone(), kept);
            match checked.config {
                Some(config) => self.begin(&name, config, target),
                None => {
                    let trace = Error::Invalid {
                        findings: checked.findings,
                    }
                    .to_string();
                    tracing::error!(name, trace, "a kept configuration cannot run any more");
                    self.show_broken(&name, trace);
                }
            }
        }
        topics::restore(self.parts.broker.as_ref(), &self.house.board).await
    }

    fn show_broken(&self, name: &str, trace: String) {
        let status = ConnectorStatus {
            trace: Some(trace),
            ..ConnectorStatus::new(State::Failed, Kind::Source)
        };
        self.house.board.put(name, status);
    }

    fn begin(&mut self, name: &str, config: Config, target: Target) {
        let status = ConnectorStatus::new(State::Unassigned, config.kind());
        self.house.board.put(name, status);
        let commands = supervisor::start(&self.house, Arc::new(config), target);
        self.supervisors.insert(name.to_owned(), commands);
    }

    pub(crate) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let shutdown = self.parts.tasks.shutdown();
        loop {
            let request = tokio::select! {
                biased;
                () = shutdown.requested() => return,
                request = requests.recv() => match request {
                    Some(request) => request,
                    None => return,
                },
            };
            // An answer nobody waits for any more is no loss.
            match request {
                Request::Put {
                    name,
                    config,
                    over,
                    target,
                    done,
                } => {
                    let _ = done.send(self.put(&name, config, over, target).await);
                }
                Request::Delete { name, done } => drop(done.send(self.delete(&name).await)),
                Request::Target { name, target, done } => {
                    drop(done.send(self.target(&name, target).await))
                }
                Request::Restart {
                    name,
                    restart,
                    done,
                } => {
                    let _ = done.send(self.tell(&name, Command::Restart(restart)).await);
                }
                Request::RestartTask { name, task, done } => {
                    let known = self
                        .house
                        .board
                        .get(&name)
                        .is_some_and(|status| task < status.tasks.len());
                    let answer = if known || !self.connectors.lock().contains_key(&name) {
                        self.tell(&name, Command::RestartTask(task)).await
                    } else {
                        Err(Error::NoTask { name, task })
                    };
                    let _ = done.send(answer);
                }
                Request::Reposition { name, change, done } => {
                    let _ = done.send(self.reposition(&name, change).await);
                }
                Request::ResetTopics { name, done } => {
                    let _ = done.send(self.reset_topics(&name).await);
                }
                Request::Close { done } => {
                    self.end_all().await;
                    let _ = done.send(Ok(()));
                    return;
                }
            }
        }
    }

    /// Ends every supervisor; each flushes and commits what its tasks have under way.
    async fn end_all(&mut self) {
        let mut endings = Vec::new();
        for commands in std::mem::take(&mut self.supervisors).into_values() {
            let (done, ended) = oneshot::channel();
            if commands.send(Command::End(done)).await.is_ok() {
                endings.push(ended);
            }
        }
        for ended in endings {
            // One that went without a word has ended too.
            let _ = ended.await;
        }
    }

    async fn put(
        &mut self,
        name: &str,
        config: Flat,
        over: Over,
        target: Option<Target>,
    ) -> Result<bool, Error> {
        let known = self.connectors.lock().get(name).cloned();
        over.allows(name, known.as_ref())?;
        let checked = config::check(&self.parts.catalogue, &config, self.parts.disk.as_ref());
        let Some(runnable) = checked.config else {
            return Err(Error::Invalid {
                findings: checked.findings,
            });
        };
        let is_new = known.is_none();
        let target = target.unwrap_or(known.map_or(Target::Running, |known| known.target()));
        self.keep(
            name,
            Kept {
                config,
                target: name_of(target).to_owned(),
            },
        )
        .await?;
        match self.supervisors.get(name) {
            Some(_) => {
                self.tell(name, Command::Configure(Arc::new(runnable)))
                    .await?;
                self.tell(name, Command::Target(target)).await?;
            }
            None => self.begin(name, runnable, target),
        }
        Ok(is_new)
    }

    async fn delete(&mut self, name: &str) -> Result<(), Error> {
        if !self.connectors.lock().contains_key(name) {
            return Err(not_found(name));
        }
        self.parts.broker.remove_record(CONFIGS, name).await?;
        if let Some(commands) = self.supervisors.remove(name) {
            let (done, ended) = oneshot::channel();
            if commands.send(Command::End(done)).await.is_ok() {
                let _ = ended.await;
            }
        }
        let broker = self.parts.broker.as_ref();
        if let Err(error) = topics::forget(broker, &self.house.board, name).await {
            tracing::warn!(name, %error, "the topics of a deleted connector are still noted");
        }
        self.connectors.lock().remove(name);
        self.house.board.remove(name);
        Ok(())
    }

    async fn target(&mut self, name: &str, target: Target) -> Result<(), Error> {
        let mut kept = self
            .connectors
            .lock()
            .get(name)
            .cloned()
            .ok_or_else(|| not_found(name))?;
        kept.target = name_of(target).to_owned();
        self.keep(name, kept).await?;
        self.tell(name, Command::Target(target)).await
    }

    async fn reposition(&self, name: &str, change: Change) -> Result<(), Error> {
        let kept = self.connectors.lock().get(name).cloned();
        let kept = kept.ok_or_else(|| not_found(name))?;
        let status = self.house.board.get(name);
        if !status.is_some_and(|status| status.has_stopped()) {
            return Err(Error::NotStopped {
                name: name.to_owned(),
            });
        }
        let checked = config::check(
            &self.parts.catalogue,
            &kept.config,
            self.parts.disk.as_ref(),
        );
        let Some(config) = checked.config else {
            return Err(Error::Invalid {
                findings: checked.findings,
            });
        };
        let reposition = Reposition {
            broker: self.parts.broker.as_ref(),
            clock: &self.parts.clock,
            config: &config,
        };
        reposition.carry_out(change).await
    }

    async fn reset_topics(&self, name: &str) -> Result<(), Error> {
        if !self.connectors.lock().contains_key(name) {
            return Err(not_found(name));
        }
        topics::forget(self.parts.broker.as_ref(), &self.house.board, name).await
    }

    async fn keep(&self, name: &str, kept: Kept) -> Result<(), Error> {
        let record = serde_json::to_string(&kept).expect("JSON goes into memory");
        self.parts.broker.put_record(CONFIGS, name, &record).await?;
        self.connectors.lock().insert(name.to_owned(), kept);
        Ok(())
    }

    async fn tell(&self, name: &str, command: Command) -> Result<(), Error> {
        if !self.connectors.lock().contains_key(name) {
            return Err(not_found(name));
        }
        // A connector that cannot run has no supervisor, and nothing to be told.
        if let Some(commands) = self.supervisors.get(name) {
            self.house.board.change(name, |status| status.due += 1);
            commands.send(command).await.map_err(|_| Error::Closed)?;
        }
        Ok(())
    }
}

fn name_of(target: Target) -> &'static str {
    match target {
        Target::Running => "RUNNING",
        Target::Paused => "PAUSED",
        Target::Stopped => "STOPPED",
    }
}

fn target_of(name: &str) -> Target {
    match name {
        "PAUSED" => Target::Paused,
        "STOPPED" => Target::Stopped,
        _ => Target::Running,
    }
}

pub(crate) fn not_found(name: &str) -> Error {
    Error::NotFound {
        name: name.to_owned(),
    }
}

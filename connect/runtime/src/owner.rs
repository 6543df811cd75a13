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
use crate::status::{ConnectorStatus, State};
use crate::supervisor::{self, Command, House, Restart};
use crate::task::Target;
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

pub(crate) enum Request {
    Put {
        name: String,
        config: Flat,
        only_new: bool,
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
            let target = target_of(&kept.target);
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
        Ok(())
    }

    fn show_broken(&self, name: &str, trace: String) {
        let status = ConnectorStatus {
            state: State::Failed,
            trace: Some(trace),
            kind: Kind::Source,
            tasks: Vec::new(),
            due: 0,
        };
        self.house.board.put(name, status);
    }

    fn begin(&mut self, name: &str, config: Config, target: Target) {
        let status = ConnectorStatus {
            state: State::Unassigned,
            trace: None,
            kind: config.kind(),
            tasks: Vec::new(),
            due: 0,
        };
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
                    only_new,
                    target,
                    done,
                } => {
                    let _ = done.send(self.put(&name, config, only_new, target).await);
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
        only_new: bool,
        target: Option<Target>,
    ) -> Result<bool, Error> {
        let known = self.connectors.lock().get(name).cloned();
        if only_new && known.is_some() {
            return Err(Error::Exists {
                name: name.to_owned(),
            });
        }
        let checked = config::check(&self.parts.catalogue, &config, self.parts.disk.as_ref());
        let Some(runnable) = checked.config else {
            return Err(Error::Invalid {
                findings: checked.findings,
            });
        };
        let is_new = known.is_none();
        let target =
            target.unwrap_or(known.map_or(Target::Running, |known| target_of(&known.target)));
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

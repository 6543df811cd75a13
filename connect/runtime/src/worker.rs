//! All connectors of one process: their configurations, kept with the broker, and the requests
//! that change them.
//!
//! One task owns the connectors and carries requests out one after another; reading needs no
//! turn. A change is durable before it is answered, so a process that starts again goes on with
//! what it last said.

mod offsets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use connect_sdk::{Connector, Context, Finding, Kind, Options};
use runtime::{Clock, Disk, Net, Rng, Tasks};
use tokio::sync::{mpsc, oneshot};

use crate::Error;
use crate::broker::Broker;
use crate::catalogue::Catalogue;
use crate::config::{self, Checked, Flat, Prober, named, shown, spelling, unmask};
use crate::owner::{Connectors, Done, Kept, Over, Owner, Request, not_found};
use crate::status::{Board, ConnectorStatus};
use crate::supervisor::{House, Restart};
use crate::task::Target;

/// How long a probe of an outside system may take.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// Who this worker is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `host:port` under which the worker's REST API is reached.
    pub worker_id: String,
    /// The version it answers with.
    pub version: String,
    /// The commit it was built from.
    pub commit: String,
    /// The cluster it belongs to.
    pub cluster: String,
}

/// What a worker works with.
#[derive(Clone)]
pub struct Parts {
    /// The broker records go to and come from.
    pub broker: Arc<dyn Broker>,
    /// The connectors there are.
    pub catalogue: Catalogue,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Time.
    pub clock: Clock,
    /// Sockets.
    pub net: Net,
    /// Randomness.
    pub rng: Rng,
    /// Whatever runs beside.
    pub tasks: Tasks,
}

/// Handle to the connectors of this process. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    settings: Arc<Settings>,
    parts: Arc<Parts>,
    board: Board,
    connectors: Connectors,
    requests: mpsc::Sender<Request>,
}

/// A connector as it may be shown.
#[derive(Clone, Debug)]
pub struct Info {
    /// Its name.
    pub name: String,
    /// Its configuration, secrets masked.
    pub config: Flat,
    /// Which way records flow, if its class is known.
    pub kind: Option<Kind>,
    /// How many tasks it has now.
    pub tasks: usize,
}

impl Worker {
    /// Reads the kept configurations and starts their connectors.
    ///
    /// # Errors
    /// The broker cannot be asked for them.
    pub async fn start(settings: Settings, parts: Parts) -> Result<Self, Error> {
        let board = Board::default();
        let house = House {
            broker: parts.broker.clone(),
            disk: parts.disk.clone(),
            clock: parts.clock.clone(),
            net: parts.net.clone(),
            rng: parts.rng.clone(),
            tasks: parts.tasks.clone(),
            board: board.clone(),
        };
        let (requests, received) = mpsc::channel(64);
        let worker = Self {
            settings: Arc::new(settings),
            parts: Arc::new(parts),
            board,
            connectors: Connectors::default(),
            requests,
        };
        let mut owner = Owner {
            house,
            parts: worker.parts.clone(),
            connectors: worker.connectors.clone(),
            supervisors: BTreeMap::new(),
        };
        owner.restore().await?;
        drop(
            worker
                .parts
                .tasks
                .spawn("connect worker", owner.run(received)),
        );
        Ok(worker)
    }

    /// Who this worker is.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The connectors that could be run.
    pub fn catalogue(&self) -> &Catalogue {
        &self.parts.catalogue
    }

    /// The names of all connectors.
    pub fn names(&self) -> Vec<String> {
        self.connectors.lock().keys().cloned().collect()
    }

    /// A connector as it may be shown.
    pub fn info(&self, name: &str) -> Result<Info, Error> {
        let kept = self.kept(name)?;
        let checked = self.check(&kept.config);
        let status = self.board.get(name);
        Ok(Info {
            name: name.to_owned(),
            config: shown(&kept.config, &checked.options),
            kind: checked
                .config
                .map(|config| config.kind())
                .or(status.as_ref().map(|status| status.kind)),
            tasks: status.map_or(0, |status| status.tasks.len()),
        })
    }

    /// What a connector and its tasks are doing.
    pub fn status(&self, name: &str) -> Result<ConnectorStatus, Error> {
        self.kept(name)?;
        self.board.get(name).ok_or_else(|| not_found(name))
    }

    /// Checks a configuration and looks at the outside, changing nothing. Every finding comes
    /// at once.
    pub async fn validate(&self, config: &Flat) -> Checked {
        let mut checked = self.check(config);
        if let Some(prober) = checked.prober.take() {
            checked.add(self.probe(prober).await);
        }
        checked
    }

    /// Creates a connector or gives it another configuration. True if it is new.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every finding; [`Error::Exists`] if `only_new` and it is there.
    pub async fn put(
        &self,
        name: &str,
        config: Flat,
        only_new: bool,
        target: Option<Target>,
    ) -> Result<bool, Error> {
        let over = if only_new { Over::Nothing } else { Over::Any };
        self.put_over(name, config, over, target).await
    }

    async fn put_over(
        &self,
        name: &str,
        mut config: Flat,
        over: Over,
        target: Option<Target>,
    ) -> Result<bool, Error> {
        let known = self.connectors.lock().get(name).cloned();
        over.allows(name, known.as_ref())?;
        match config.get("name") {
            Some(other) if other != name => {
                return Err(Error::Bad {
                    message: format!(
                        "Connector name configuration ({other}) doesn't match connector name in the URL ({name})"
                    ),
                });
            }
            _ => drop(config.insert("name".into(), name.to_owned())),
        }
        let (mut config, twice) = named(self.catalogue(), &config);
        if let Some(known) = known {
            let options = self.check(&config).options;
            unmask(&mut config, &known.config, &options);
        }
        let mut checked = self.validate(&config).await;
        checked.add(twice);
        if checked.has_errors() {
            return Err(Error::Invalid {
                findings: checked.findings,
            });
        }
        self.request(|done| Request::Put {
            name: name.to_owned(),
            config,
            over,
            target,
            done,
        })
        .await
    }

    /// Changes some keys of a configuration; `None` removes one. What others change at the same
    /// time is kept.
    pub async fn patch(
        &self,
        name: &str,
        changes: BTreeMap<String, Option<String>>,
    ) -> Result<(), Error> {
        loop {
            let known = self.kept(name)?.config;
            let mut config = known.clone();
            let name_of = spelling(self.catalogue(), &known);
            let mut changed = BTreeSet::new();
            for (key, value) in &changes {
                let name = name_of(key);
                match value {
                    Some(value) => drop(config.insert(name.clone(), value.clone())),
                    None => drop(config.remove(&name)),
                }
                if !changed.insert(name.clone()) {
                    let message = format!("\"{name}\" is changed twice, once as \"{key}\"");
                    return Err(Error::Bad { message });
                }
            }
            match self.put_over(name, config, Over::This(known), None).await {
                Err(Error::Changed { .. }) => {}
                put => return put.map(drop),
            }
        }
    }

    /// Deletes a connector. What it has committed is kept.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        self.request(|done| Request::Delete {
            name: name.to_owned(),
            done,
        })
        .await
    }

    /// Says what is wanted of a connector. Wanting it again is no error.
    pub async fn set_target(&self, name: &str, target: Target) -> Result<(), Error> {
        self.request(|done| Request::Target {
            name: name.to_owned(),
            target,
            done,
        })
        .await
    }

    /// Begins a connector anew, and with `include_tasks` its tasks, or those that failed.
    pub async fn restart(
        &self,
        name: &str,
        include_tasks: bool,
        only_failed: bool,
    ) -> Result<(), Error> {
        let restart = Restart {
            include_tasks,
            only_failed,
        };
        self.request(|done| Request::Restart {
            name: name.to_owned(),
            restart,
            done,
        })
        .await
    }

    /// Begins one task anew.
    pub async fn restart_task(&self, name: &str, task: usize) -> Result<(), Error> {
        self.request(|done| Request::RestartTask {
            name: name.to_owned(),
            task,
            done,
        })
        .await
    }

    /// Stops every connector once what it has under way is committed. The next worker over the
    /// same broker goes on with them; this one takes no more requests.
    ///
    /// For the end of a process, before what connectors work through is stopped.
    pub async fn close(&self) {
        // Closed before is as good.
        self.request(|done| Request::Close { done }).await.ok();
    }

    /// Resolves once nothing more will come by itself: every task is at its end or has failed.
    /// At once for a connector that is not there.
    pub async fn finished(&self, name: &str) {
        self.board
            .wait_for(name, |status| {
                status.is_none_or(ConnectorStatus::is_finished)
            })
            .await;
    }

    /// Resolves once the status of a connector is as asked for.
    pub async fn wait_for(&self, name: &str, is_so: impl Fn(&ConnectorStatus) -> bool) {
        self.board
            .wait_for(name, |status| status.is_some_and(&is_so))
            .await;
    }

    fn kept(&self, name: &str) -> Result<Kept, Error> {
        self.connectors
            .lock()
            .get(name)
            .cloned()
            .ok_or_else(|| not_found(name))
    }

    fn check(&self, config: &Flat) -> Checked {
        config::check(&self.parts.catalogue, config, self.parts.disk.as_ref())
    }

    async fn probe(&self, prober: Prober) -> Vec<Finding> {
        let parts = &self.parts;
        let context = Context {
            connector: prober.name,
            task: 0,
            generation: 0,
            disk: parts.disk.clone(),
            clock: parts.clock.clone(),
            net: parts.net.clone(),
            rng: parts.rng.split("probe"),
            tasks: parts.tasks.clone(),
        };
        let probe = probe(prober.connector, prober.own, context);
        parts
            .clock
            .timeout(PROBE_LIMIT, probe)
            .await
            .unwrap_or_else(|_| {
                let message = format!(
                    "the outside system did not answer within {} s",
                    PROBE_LIMIT.as_secs()
                );
                vec![Finding::warning("connector.probe.timeout", "", message)]
            })
    }

    async fn request<T>(&self, request: impl FnOnce(Done<T>) -> Request) -> Result<T, Error> {
        let (done, answer) = oneshot::channel();
        self.requests
            .send(request(done))
            .await
            .map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }
}

async fn probe(connector: Arc<dyn Connector>, options: Options, context: Context) -> Vec<Finding> {
    connector.probe(&options, &context).await
}

//! All jobs of a process: submitted, kept, started again, stopped, forgotten.
//!
//! ```text
//! <folder>/<job>/job.json    what was asked: script, where its files are, running or stopped
//! <folder>/<job>/state/      what it has committed
//! ```
//! A process that starts finds its jobs here and goes on with those that were running.

mod definition;
mod failure;
mod run;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use client::Client;
use parking_lot::Mutex;
use planner::{Environment, WasmFunctions};
use plugin_host::PluginHost;
use runtime::{Clock, Disk, Task, Tasks};
use serde::Serialize;
use tokio::sync::watch;

pub use definition::{Definition, Target};
pub use failure::JobError;

use crate::{Ended, Error, Settings, Status, Stop};

/// What jobs need of the house around them.
#[derive(Clone)]
pub struct Surroundings {
    pub client: Client,
    pub disk: Arc<dyn Disk>,
    pub tasks: Tasks,
    pub functions: Arc<PluginHost>,
    /// Where jobs are kept.
    pub folder: PathBuf,
    pub settings: Settings,
}

/// The jobs of a process. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    inner: Arc<Inner>,
}

struct Inner {
    around: Surroundings,
    /// Guards plain data; held for a look or a change, never while a job starts or stops.
    jobs: Mutex<BTreeMap<String, Entry>>,
}

struct Entry {
    definition: Definition,
    /// The dataflow as EXPLAIN prints it, once it has been planned.
    explained: String,
    running: Option<Running>,
    /// Why it is not running although it should.
    failure: Option<String>,
    last: Status,
}

/// The task of a run, for whoever waits first for its end.
type Ending = Arc<tokio::sync::Mutex<Option<Task<Outcome>>>>;

/// How a run ended, or why it failed.
type Outcome = Result<Ended, String>;

struct Running {
    stop: watch::Sender<Stop>,
    status: watch::Receiver<Status>,
    task: Ending,
}

/// How a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    Running,
    Stopped,
    Drained,
    Failed,
}

/// One job in a list.
#[derive(Clone, Debug, Serialize)]
pub struct JobInfo {
    pub name: String,
    pub state: JobState,
    pub epoch: u64,
    pub rows_in: u64,
    pub rows_out: u64,
    /// ms since 1970; none before the first row.
    pub watermark: Option<i64>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// One job, all of it.
#[derive(Clone, Debug, Serialize)]
pub struct JobDetail {
    #[serde(flatten)]
    pub info: JobInfo,
    pub script: String,
    pub dataflow: String,
    /// Totals since the job was created.
    pub counters: BTreeMap<String, u64>,
    pub last_epoch_ms: u64,
}

/// What came of a script.
#[derive(Clone, Debug, Serialize)]
pub struct Submitted {
    /// The job that runs now; none if the script only explains.
    #[serde(flatten)]
    pub job: Option<JobInfo>,
    /// The dataflows that its `EXPLAIN` statements ask about, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<String>,
}

impl Jobs {
    /// Finds the jobs of an earlier process and starts those that were running. One that cannot
    /// start is kept as failed; it does not stop the others.
    pub async fn open(around: Surroundings) -> Result<Jobs, JobError> {
        around.disk.create_dir_all(&around.folder)?;
        let jobs = Jobs {
            inner: Arc::new(Inner {
                jobs: Mutex::default(),
                around,
            }),
        };
        for definition in definition::load_all(&*jobs.inner.around.disk, &jobs.inner.around.folder)?
        {
            let name = definition.name.clone();
            jobs.insert(definition.clone());
            if definition.target == Target::Running {
                if let Err(why) = jobs.start(&name).await {
                    tracing::error!(job = name, %why, "a job cannot go on");
                    jobs.failed(&name, why.to_string());
                }
                continue;
            }
            match run::last_status(&jobs.inner.around, &definition).await {
                Ok(last) => jobs.stood(&name, last),
                Err(why) => tracing::warn!(job = name, %why, "what a job did is not known"),
            }
        }
        Ok(jobs)
    }

    /// Plans a script and starts its job, as [`Jobs::execute`] does; fails without an `INSERT`.
    pub async fn submit(
        &self,
        name: &str,
        script: &str,
        base: PathBuf,
    ) -> Result<JobInfo, JobError> {
        let submitted = self.execute(name, script, base).await?;
        submitted.job.ok_or(JobError::NothingToRun)
    }

    /// Plans a script, answers its `EXPLAIN` statements and starts the rest of it. `name` is used
    /// unless the script sets `pipeline.name`; relative paths of its files are below `base`. Fails
    /// with everything wrong at once, and then nothing is kept.
    pub async fn execute(
        &self,
        name: &str,
        script: &str,
        base: PathBuf,
    ) -> Result<Submitted, JobError> {
        let plan = self.plan(name, script, &base).await?;
        let explained: Vec<String> = plan.explained.iter().map(planner::explain).collect();
        let explained = (!explained.is_empty()).then(|| explained.join("\n"));
        if plan.dataflow.nodes.is_empty() {
            return match explained {
                None => Err(JobError::NothingToRun),
                explained => Ok(Submitted {
                    job: None,
                    explained,
                }),
            };
        }
        let name = plan.dataflow.name.clone();
        definition::check_name(&name)?;
        if self.inner.jobs.lock().contains_key(&name) {
            return Err(JobError::Exists { name });
        }
        let definition = Definition {
            name: name.clone(),
            script: script.to_owned(),
            base,
            target: Target::Running,
        };
        definition.save(&*self.inner.around.disk, &self.inner.around.folder)?;
        self.insert(definition);
        if let Err(why) = self.start(&name).await {
            self.inner.jobs.lock().remove(&name);
            definition::remove(&*self.inner.around.disk, &self.inner.around.folder, &name)?;
            return Err(why);
        }
        Ok(Submitted {
            job: Some(self.info(&name)?),
            explained,
        })
    }

    /// The dataflow of a script as text, one block for each of its outputs.
    pub async fn explain(&self, script: &str, base: PathBuf) -> Result<String, JobError> {
        let plan = self.plan("explain", script, &base).await?;
        let asked = plan.explained.iter().map(planner::explain);
        let own = (!plan.dataflow.nodes.is_empty()).then(|| planner::explain(&plan.dataflow));
        Ok(asked.chain(own).collect::<Vec<_>>().join("\n"))
    }

    pub(crate) fn clock(&self) -> &Clock {
        self.inner.around.tasks.clock()
    }

    /// Every job, by name.
    pub fn list(&self) -> Vec<JobInfo> {
        self.inner
            .jobs
            .lock()
            .iter()
            .map(|(name, entry)| entry.info(name))
            .collect()
    }

    /// One job with its dataflow and counters.
    pub fn describe(&self, name: &str) -> Result<JobDetail, JobError> {
        let jobs = self.inner.jobs.lock();
        let entry = jobs
            .get(name)
            .ok_or_else(|| JobError::not_found(name, jobs.keys()))?;
        let status = entry.status();
        Ok(JobDetail {
            info: entry.info(name),
            script: entry.definition.script.clone(),
            dataflow: entry.explained.clone(),
            counters: status
                .counters
                .iter()
                .map(|(name, count)| (name.to_string(), *count))
                .collect(),
            last_epoch_ms: status.last_epoch.as_millis() as u64,
        })
    }

    /// Stops a job behind its running epoch; it keeps its state. With `drain` it first says all
    /// that open windows hold, and is done for good. A process that dies before that is done
    /// finds the job running.
    ///
    /// A drained job stays one, whichever way it is stopped again.
    pub async fn stop(&self, name: &str, drain: bool) -> Result<JobInfo, JobError> {
        match self.info(name)?.state {
            JobState::Drained => return self.info(name),
            JobState::Stopped | JobState::Failed if drain => {
                return Err(JobError::Stopped {
                    name: name.to_owned(),
                });
            }
            _ if !drain => self.keep_target(name, Target::Stopped)?,
            _ => {}
        }
        let task = {
            let jobs = self.inner.jobs.lock();
            let running = jobs.get(name).and_then(|entry| entry.running.as_ref());
            running.map(|running| {
                running
                    .stop
                    .send_replace(if drain { Stop::Drain } else { Stop::Now });
                running.task.clone()
            })
        };
        if let Some(task) = task {
            // Whoever waits first takes the outcome; everybody waits for the end.
            if let Some(task) = task.lock().await.take() {
                let outcome = task.await.unwrap_or_else(|why| Err(why.to_string()));
                self.ended(name, &outcome)?;
            }
        }
        self.info(name)
    }

    /// Starts a stopped or failed job where it was.
    pub async fn resume(&self, name: &str) -> Result<JobInfo, JobError> {
        match self.info(name)?.state {
            JobState::Running => return self.info(name),
            JobState::Drained => {
                return Err(JobError::Drained {
                    name: name.to_owned(),
                });
            }
            JobState::Stopped | JobState::Failed => {}
        }
        self.keep_target(name, Target::Running)?;
        self.start(name).await?;
        self.info(name)
    }

    /// Forgets a job that is not running, and its state.
    pub async fn delete(&self, name: &str) -> Result<(), JobError> {
        if self.info(name)?.state == JobState::Running {
            return Err(JobError::Running {
                name: name.to_owned(),
            });
        }
        let Surroundings {
            client,
            disk,
            folder,
            ..
        } = &self.inner.around;
        client.jobs(None).forget(name).await?;
        definition::remove(&**disk, folder, name)?;
        self.inner.jobs.lock().remove(name);
        Ok(())
    }

    /// Stops every running job, each behind its running epoch; they start again with the process.
    pub async fn close(&self) {
        let tasks: Vec<_> = {
            let jobs = self.inner.jobs.lock();
            let running = jobs.values().filter_map(|entry| entry.running.as_ref());
            running
                .map(|running| {
                    running.stop.send_replace(Stop::Now);
                    running.task.clone()
                })
                .collect()
        };
        for task in tasks {
            if let Some(task) = task.lock().await.take() {
                task.await.ok();
            }
        }
    }

    async fn plan(
        &self,
        name: &str,
        script: &str,
        base: &std::path::Path,
    ) -> Result<planner::Plan, JobError> {
        let Surroundings {
            functions,
            disk,
            tasks,
            ..
        } = self.inner.around.clone();
        let (name, script, base) = (name.to_owned(), script.to_owned(), base.to_owned());
        // Compiling a module takes a while: not on the runtime's own threads.
        let planned = tasks.blocking("plan a job", move || {
            let read = move |location: &str| disk.read(&base.join(location));
            let environment = Environment::new(name)
                .with_functions(Arc::new(WasmFunctions::new(functions, read)));
            planner::plan(&script, &environment)
        });
        Ok(planned.await??)
    }

    async fn start(&self, name: &str) -> Result<(), JobError> {
        let definition = {
            let jobs = self.inner.jobs.lock();
            jobs.get(name)
                .ok_or_else(|| JobError::not_found(name, jobs.keys()))?
                .definition
                .clone()
        };
        let plan = self
            .plan(name, &definition.script, &definition.base)
            .await?;
        let explained = planner::explain(&plan.dataflow);
        let job = run::open(&self.inner.around, &definition, plan).await?;
        let (stop, asked) = watch::channel(Stop::No);
        let status = job.status();
        let (jobs, own) = (self.clone(), name.to_owned());
        // Held until the run is noted: one that ends at once is noted as ended after that.
        let mut noted = self.inner.jobs.lock();
        let task = self
            .inner
            .around
            .tasks
            .spawn(format!("job {name}"), async move {
                let outcome = match job.run(asked).await {
                    Err(Error::Drained) => Ok(Ended::Drained),
                    outcome => outcome.map_err(|why| failure::chain(&why)),
                };
                // Whoever stopped it looks after the rest; nobody did if it ended by itself.
                if outcome != Ok(Ended::Stopped)
                    && let Err(why) = jobs.ended(&own, &outcome)
                {
                    tracing::error!(job = own, %why, "how a job ended could not be kept");
                }
                outcome
            });
        if let Some(entry) = noted.get_mut(name) {
            entry.explained = explained;
            entry.failure = None;
            entry.running = Some(Running {
                stop,
                status,
                task: Arc::new(tokio::sync::Mutex::new(Some(task))),
            });
        }
        Ok(())
    }

    fn insert(&self, definition: Definition) {
        let entry = Entry {
            explained: String::new(),
            running: None,
            failure: None,
            last: Status::default(),
            definition,
        };
        self.inner
            .jobs
            .lock()
            .insert(entry.definition.name.clone(), entry);
    }

    fn info(&self, name: &str) -> Result<JobInfo, JobError> {
        let jobs = self.inner.jobs.lock();
        let entry = jobs
            .get(name)
            .ok_or_else(|| JobError::not_found(name, jobs.keys()))?;
        Ok(entry.info(name))
    }

    fn keep_target(&self, name: &str, target: Target) -> Result<(), JobError> {
        let mut jobs = self.inner.jobs.lock();
        let Some(entry) = jobs.get_mut(name) else {
            return Err(JobError::not_found(name, jobs.keys()));
        };
        entry.definition.target = target;
        Ok(entry
            .definition
            .save(&*self.inner.around.disk, &self.inner.around.folder)?)
    }

    fn failed(&self, name: &str, why: String) {
        if let Some(entry) = self.inner.jobs.lock().get_mut(name) {
            entry.failure = Some(why);
        }
    }

    fn stood(&self, name: &str, last: Status) {
        if let Some(entry) = self.inner.jobs.lock().get_mut(name) {
            entry.last = last;
        }
    }

    fn ended(&self, name: &str, outcome: &Outcome) -> Result<(), JobError> {
        if let Some(entry) = self.inner.jobs.lock().get_mut(name) {
            entry.last = entry.status();
            entry.running = None;
            if let Err(why) = outcome
                && entry.failure.replace(why.clone()).is_none()
            {
                tracing::error!(job = name, why, "a job failed");
            }
        }
        match outcome {
            Ok(Ended::Drained) => self.keep_target(name, Target::Drained),
            _ => Ok(()),
        }
    }
}

impl Entry {
    fn status(&self) -> Status {
        self.running.as_ref().map_or_else(
            || self.last.clone(),
            |running| running.status.borrow().clone(),
        )
    }

    fn info(&self, name: &str) -> JobInfo {
        let status = self.status();
        let count = |counter: &str| {
            status
                .counters
                .iter()
                .find(|(name, _)| **name == counter)
                .map_or(0, |(_, count)| *count)
        };
        JobInfo {
            name: name.to_owned(),
            state: match (&self.running, &self.failure) {
                (_, Some(_)) => JobState::Failed,
                (Some(_), None) => JobState::Running,
                (None, None) if self.definition.target == Target::Drained => JobState::Drained,
                (None, None) => JobState::Stopped,
            },
            epoch: status.epoch,
            rows_in: count("rows in"),
            rows_out: count("rows out"),
            watermark: status.watermark,
            failure: self.failure.clone(),
        }
    }
}

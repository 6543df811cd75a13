//! Epochs of jobs and connectors: output messages and input positions, together or not at all.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use protocol::headers::{FenceJob, FenceJobReply, ForgetJob, GetJobState};
use protocol::{CommitEpoch, EpochCommitted, ExtFields, Frame, JobState, ReadFields};
use protocol::{RequestCode, ResponseCode};

use crate::connections::unreadable;
use crate::error::Address;
use crate::pull_consumer::request;
use crate::{Client, Error};

/// How long a broker may take over one epoch: it may have to write and flush 16 MiB.
const COMMIT: Duration = Duration::from_secs(30);

/// Asks one broker about its jobs. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    client: Client,
    broker: Option<Arc<str>>,
    /// Where that broker was found; guards a plain value.
    address: Arc<Mutex<Option<Address>>>,
}

impl Client {
    /// Jobs on the broker of that name; without a name on the only broker there is. An epoch is
    /// atomic on one broker, so a job lives on one.
    pub fn jobs(&self, broker: Option<&str>) -> Jobs {
        Jobs {
            client: self.clone(),
            broker: broker.map(Arc::from),
            address: Arc::default(),
        }
    }
}

impl Jobs {
    /// Takes the job over: commits of every earlier generation fail with [`Error::Fenced`] from
    /// now on. Returns the caller's generation.
    pub async fn fence(&self, job: &str) -> Result<u64, Error> {
        let request = request(RequestCode::FENCE_JOB, &FenceJob { job });
        let (address, answer) = self.ask(request, self.client.request_timeout()).await?;
        let header = FenceJobReply::read_fields(&answer.header.ext)
            .map_err(unreadable(&address, RequestCode::FENCE_JOB))?;
        Ok(header.generation)
    }

    /// Commits one epoch: all of it is visible and kept when this returns. After a failure that
    /// [is transient](Error::is_transient) the same epoch may be committed again, and happens
    /// once. Epochs count from 1; the last one again is a repetition, an older one is refused.
    pub async fn commit_epoch(&self, epoch: &CommitEpoch) -> Result<EpochCommitted, Error> {
        let code = RequestCode::COMMIT_EPOCH;
        let body = epoch.encode().map_err(|why| Error::Illegal {
            why: why.to_string(),
        })?;
        let request = Frame::request(code, ExtFields::new(), body);
        let outcome = self.ask(request, COMMIT).await;
        let (address, answer) = outcome.map_err(|why| fenced(why, &epoch.job))?;
        EpochCommitted::decode(&answer.body).map_err(unreadable(&address, code))
    }

    /// The last epoch that a shard of the job has committed, and what it keeps with it.
    pub async fn state(&self, job: &str, shard: u32) -> Result<JobState, Error> {
        let code = RequestCode::GET_JOB_STATE;
        let request = request(code, &GetJobState { job, shard });
        let (address, answer) = self.ask(request, self.client.request_timeout()).await?;
        JobState::decode(&answer.body).map_err(unreadable(&address, code))
    }

    /// Forgets the job: a later one of the same name starts over.
    pub async fn forget(&self, job: &str) -> Result<(), Error> {
        let request = request(RequestCode::FORGET_JOB, &ForgetJob { job });
        self.ask(request, self.client.request_timeout()).await?;
        Ok(())
    }

    async fn ask(&self, request: Frame, limit: Duration) -> Result<(Address, Frame), Error> {
        let address = self.address().await?;
        let answer = self
            .client
            .connections()
            .demand(&address, request, limit)
            .await;
        if matches!(answer, Err(Error::Unreachable { .. })) {
            // It may come back elsewhere.
            *self.address.lock() = None;
        }
        Ok((address, answer?))
    }

    async fn address(&self) -> Result<Address, Error> {
        if let Some(address) = self.address.lock().clone() {
            return Ok(address);
        }
        let routes = self.client.routes();
        let masters = routes.all_masters(None).await?;
        let found = match &self.broker {
            Some(name) => masters.iter().find(|(known, _)| known == name),
            None => masters.first().filter(|_| masters.len() == 1),
        };
        let Some((_, address)) = found else {
            return Err(routes.no_broker(match &self.broker {
                Some(name) => format!("there is no master broker {name}"),
                None => {
                    let names: Vec<&str> = masters.iter().map(|(name, _)| &**name).collect();
                    let names = names.join(", ");
                    format!("a job lives on one broker, and there are several ({names})")
                }
            }));
        };
        *self.address.lock() = Some(address.clone());
        Ok(address.clone())
    }
}

fn fenced(why: Error, job: &str) -> Error {
    match why {
        Error::Refused {
            code: ResponseCode::JOB_FENCED,
            remark,
            ..
        } => Error::Fenced {
            job: job.to_owned(),
            remark,
        },
        why => why,
    }
}

//! A process around a worker, which can be killed, and a client for its REST API.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use connect_runtime::{Catalogue, Flat, Loggers, Parts, Settings, Target, Worker, router, serve};
use connect_sdk::Connector;
use connector_blackhole::BlackholeSink;
use connector_datagen::DatagenSource;
use connector_file::{FileSink, FileSource};
use runtime::{Clock, Disk, Net, Rng, Tasks};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::broker_in_memory::MemoryBroker;

/// One life of a process with a worker.
pub struct Process {
    pub worker: Worker,
    pub tasks: Tasks,
    net: Net,
    api: SocketAddr,
}

fn catalogue(more: Vec<Arc<dyn Connector>>) -> Catalogue {
    let ours: Vec<Arc<dyn Connector>> = vec![
        Arc::new(BlackholeSink::default()),
        Arc::new(DatagenSource),
        Arc::new(FileSink),
        Arc::new(FileSource),
    ];
    Catalogue::new(ours.into_iter().chain(more))
}

impl Process {
    pub async fn start(broker: &Arc<MemoryBroker>, disk: Arc<dyn Disk>) -> Self {
        Self::start_with(broker, disk, Vec::new()).await
    }

    pub async fn start_with(
        broker: &Arc<MemoryBroker>,
        disk: Arc<dyn Disk>,
        more: Vec<Arc<dyn Connector>>,
    ) -> Self {
        let clock = Clock::real();
        let tasks = Tasks::new(clock.clone());
        let net = Net::in_memory();
        let parts = Parts {
            broker: broker.clone(),
            catalogue: catalogue(more),
            disk,
            clock: clock.clone(),
            net: net.clone(),
            rng: Rng::seeded(7),
            tasks: tasks.clone(),
        };
        let worker = Worker::start(settings(), parts)
            .await
            .expect("the worker starts");
        let api = SocketAddr::from((Ipv4Addr::LOCALHOST, 8083));
        let listener = net.listen(api).await.expect("the port is free");
        let loggers = Loggers::new("warn,store=error", clock.clone(), |_| Ok(()));
        drop(tasks.spawn(
            "rest",
            serve(
                listener,
                router(worker.clone(), loggers),
                clock,
                tasks.shutdown(),
            ),
        ));
        Self {
            worker,
            tasks,
            net,
            api,
        }
    }

    /// Ends it without a word to anybody.
    pub async fn kill(self) {
        self.tasks.stop(Duration::ZERO).await;
    }

    /// Ends it in order.
    pub async fn stop(self) {
        let report = self.tasks.stop(Duration::from_secs(30)).await;
        assert!(report.is_clean(), "{report:?}");
    }

    /// Creates a connector, or fails with everything that is wrong.
    pub async fn put(&self, name: &str, pairs: &[(&str, &str)]) {
        put(&self.worker, name, pairs).await;
    }

    /// One request; the status and the body as JSON, null if there is none.
    pub async fn request(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, _, body) = self
            .raw_request(method, path, "application/json", body)
            .await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    pub async fn raw_request(
        &self,
        method: &str,
        path: &str,
        kind: &str,
        body: &str,
    ) -> (u16, String, String) {
        let mut stream = self
            .net
            .connect(&self.api.to_string())
            .await
            .expect("the API listens");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream
            .write_all(request.as_bytes())
            .await
            .expect("the request is sent");
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .await
            .expect("the answer comes");
        let answer = String::from_utf8(answer).expect("the answer is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .expect("a status");
        (status, head.to_owned(), body.to_owned())
    }
}

pub fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect()
}

/// What a worker is called.
pub fn settings() -> Settings {
    Settings {
        worker_id: "127.0.0.1:8083".into(),
        version: "0.1.0".into(),
        commit: "abc".into(),
        cluster: "test".into(),
    }
}

/// Creates a connector, or fails with everything that is wrong.
pub async fn put(worker: &Worker, name: &str, pairs: &[(&str, &str)]) {
    let put = worker.put(name, flat(pairs), false, Some(Target::Running));
    if let Err(error) = put.await {
        panic!("{name}: {error}");
    }
}

/// Waits until something holds that others bring about; gives up loudly after a minute.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never happened that {what}");
}

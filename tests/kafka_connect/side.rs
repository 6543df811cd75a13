//! One of the two workers, and what it answers.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;
use ureq::http;

use crate::script::Request;

/// How long a state may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Side {
    agent: ureq::Agent,
    address: String,
    /// The options of the side's sink.
    sink: &'static str,
    file: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Below the host.
    pub location: Option<String>,
    pub body: Value,
}

impl Side {
    pub fn new(address: &str, sink: &'static str, file: &Path) -> Side {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE));
        Side {
            agent: config.build().into(),
            address: address.to_owned(),
            sink,
            file: file.display().to_string(),
        }
    }

    pub fn ask(&self, request: &Request) -> Result<Answer> {
        let body = request.body.replace("$SINK", self.sink);
        self.send(
            request.method,
            request.path,
            request.content_type,
            &body.replace("$PATH", &self.file),
        )
    }

    pub fn wait_until(&self, path: &str, what: &str, holds: &fn(&Value) -> bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            let answer = self.send("GET", path, "", "")?;
            if holds(&answer.body) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!(
                    "{} still answers {answer:?} at {path}, not that {what}",
                    self.address
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn send(&self, method: &str, path: &str, content_type: &str, body: &str) -> Result<Answer> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address));
        let mut response = if matches!(method, "GET" | "DELETE") {
            self.agent.run(request.body(())?)?
        } else {
            let request = request.header("Content-Type", content_type);
            self.agent.run(request.body(body.to_owned())?)?
        };
        let location = response.headers().get("Location");
        let location = location.and_then(|value| value.to_str().ok());
        let host = format!("http://{}", self.address);
        let location = location.map(|text| text.trim_start_matches(&host).to_owned());
        let text = response.body_mut().read_to_string()?;
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text)?,
        };
        Ok(Answer {
            status: response.status().as_u16(),
            location,
            body,
        })
    }
}

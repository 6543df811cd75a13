//! Speaks to a running house over HTTP.

use serde_json::Value;

use crate::failure::{Exit, Failure};

/// One of the house's HTTP doors.
#[derive(Clone, Debug)]
pub struct Rest {
    /// `host:port`.
    address: String,
    /// What listens there and which flag names it, for messages.
    what: &'static str,
    flag: &'static str,
}

impl Rest {
    pub fn new(address: &str, what: &'static str, flag: &'static str) -> Rest {
        Rest {
            address: address.to_owned(),
            what,
            flag,
        }
    }

    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        self.finish(
            ureq::get(self.url(path))
                .config()
                .http_status_as_error(false)
                .build()
                .call(),
        )
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.finish(
            ureq::post(self.url(path))
                .config()
                .http_status_as_error(false)
                .build()
                .send_json(body),
        )
    }

    pub fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.finish(
            ureq::put(self.url(path))
                .config()
                .http_status_as_error(false)
                .build()
                .send_json(body),
        )
    }

    pub fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.finish(
            ureq::delete(self.url(path))
                .config()
                .http_status_as_error(false)
                .build()
                .call(),
        )
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn finish(
        &self,
        answered: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, Failure> {
        let mut response = answered.map_err(|why| self.unreachable(&why))?;
        let text = response
            .body_mut()
            .read_to_string()
            .map_err(|why| self.unreachable(&why))?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        match response.status().as_u16() {
            200..=299 => Ok(body),
            status => Err(refused(status, &body, &text)),
        }
    }

    fn unreachable(&self, why: &ureq::Error) -> Failure {
        Failure::new(
            Exit::Unreachable,
            "unreachable",
            format!("{} at {} does not answer", self.what, self.address),
        )
        .why(format!(
            "{why}; the address comes from {} or its default",
            self.flag
        ))
        .fix("start a house:  millstream up")
    }
}

/// Both shapes of errors that the house speaks: its own, and Kafka Connect's.
fn refused(status: u16, body: &Value, text: &str) -> Failure {
    let exit = match status {
        404 => Exit::NotFound,
        409 => Exit::Conflict,
        _ => Exit::Usage,
    };
    let own = &body["error"];
    let message = own["message"]
        .as_str()
        .or_else(|| body["message"].as_str())
        .unwrap_or(text);
    let (what, rest) = message.split_once('\n').unwrap_or((message, ""));
    let fix = own["fix"].as_str().unwrap_or_default();
    let mut failure = Failure::new(exit, "refused", what).why(rest).fix(fix);
    if let Some(code) = own["code"].as_str() {
        failure.code = code.to_owned();
    }
    failure
}

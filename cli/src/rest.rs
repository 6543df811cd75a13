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
    /// A command that shows what there is.
    list: &'static str,
}

impl Rest {
    /// Where jobs are asked for.
    pub fn admin(address: &str) -> Rest {
        Rest {
            address: address.to_owned(),
            what: "the admin API",
            flag: "--admin",
            list: "millstream job list",
        }
    }

    /// Where connectors are asked for.
    pub fn connect(address: &str) -> Rest {
        Rest {
            address: address.to_owned(),
            what: "the connector API",
            flag: "--connect",
            list: "millstream connector list",
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
            status => Err(self.refused(status, &body, &text)),
        }
    }

    /// Both shapes of errors that the house speaks: its own, and Kafka Connect's.
    fn refused(&self, status: u16, body: &Value, text: &str) -> Failure {
        let (exit, code) = match status {
            404 => (Exit::NotFound, "not-found"),
            409 => (Exit::Conflict, "conflict"),
            _ => (Exit::Usage, "refused"),
        };
        let own = &body["error"];
        let part = |name: &str| own[name].as_str().unwrap_or_default();
        let message = match part("message") {
            "" => body["message"].as_str().unwrap_or(text),
            own => own,
        };
        let (what, rest) = message.split_once('\n').unwrap_or((message, ""));
        let mut failure = Failure::new(exit, code, what).why(rest);
        if !part("code").is_empty() {
            failure.code = part("code").to_owned();
        }
        failure.fix = part("fix").to_owned();
        if part("code") == "job.script" {
            failure = of_script(failure, what, rest);
        }
        if failure.why.is_empty() {
            failure.why = format!("{} at {} answered {status}", self.what, self.address);
        }
        if failure.fix.is_empty() && status == 404 {
            failure.fix = format!("see what there is:  {}", self.list);
        }
        failure.request_id = part("request_id").to_owned();
        failure
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

/// A mistake in a script has a code of its own, its place, and often its own remedy; further
/// mistakes follow it.
fn of_script(mut failure: Failure, what: &str, rest: &str) -> Failure {
    let what = what.trim_start_matches("error: ").trim_end_matches(']');
    if let Some((what, code)) = what.rsplit_once(" [") {
        failure.what = what.trim_end().to_owned();
        failure.code = code.to_owned();
    }
    failure.why = rest.trim_start().to_owned();
    if !rest.contains("\nerror: ")
        && let Some((why, fix)) = rest.rsplit_once("\n  fix: ")
    {
        failure.why = why.trim_start().to_owned();
        failure.fix = fix.to_owned();
    }
    failure
}

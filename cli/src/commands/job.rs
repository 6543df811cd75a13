//! `millstream job` and `millstream run`: streaming jobs of a running house.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::arguments::{Global, Job, Output, Run};
use crate::commands::confirm;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::rest::Rest;

fn admin(global: &Global) -> Rest {
    Rest::admin(&global.admin)
}

pub fn run(global: &Global, run: &Run) -> Result<()> {
    let shown = run.file.display();
    let script = std::fs::read_to_string(&run.file).map_err(|why| {
        Failure::new(
            Exit::NotFound,
            "run.file",
            format!("{shown} cannot be read"),
        )
        .why(why)
        .fix("name a file with SQL statements")
    })?;
    let file = run
        .file
        .canonicalize()
        .with_context(|| format!("cannot resolve {shown}"))?;
    let base = file.parent().context("a file lies in a folder")?;
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = run.name.clone().unwrap_or_else(|| {
        stem.replace(
            |c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_',
            "-",
        )
    });
    let asked = json!({ "name": name, "script": script, "base": base, "explain": run.explain });
    let answer = admin(global)
        .post("/v1/jobs", &asked)
        .map_err(|failure| failure.at(shown))?;
    if run.explain {
        output::line(answer["dataflow"].as_str().unwrap_or_default());
        return Ok(());
    }
    if let Some(explained) = answer["explained"].as_str()
        && global.output == Output::Table
    {
        output::line(explained);
    }
    let Some(name) = answer["name"].as_str() else {
        // A script that only explains starts nothing.
        if global.output == Output::Json {
            output::one(global.output, &answer, &[]);
        }
        return Ok(());
    };
    output::one(
        global.output,
        &answer,
        &[("job", name.to_owned()), ("state", text(&answer["state"]))],
    );
    eprintln!("follow it with  millstream job describe {name}");
    Ok(())
}

pub fn job(global: &Global, command: &Job) -> Result<()> {
    let admin = admin(global);
    match command {
        Job::List => {
            let jobs = admin.get("/v1/jobs")?;
            let jobs = jobs.as_array().cloned().unwrap_or_default();
            output::rows(
                global.output,
                &jobs,
                &["JOB", "STATE", "EPOCH", "ROWS IN", "ROWS OUT", "WHY"],
                |job| {
                    ["name", "state", "epoch", "rows_in", "rows_out", "failure"]
                        .map(|key| text(&job[key]))
                        .to_vec()
                },
            );
        }
        Job::Describe { job } => {
            let detail = admin.get(&format!("/v1/jobs/{job}"))?;
            let mut lines: Vec<(&str, String)> = [
                "name",
                "state",
                "failure",
                "epoch",
                "watermark",
                "last_epoch_ms",
            ]
            .into_iter()
            .filter(|key| !detail[*key].is_null())
            .map(|key| (key, text(&detail[key])))
            .collect();
            let counters = detail["counters"].as_object().into_iter().flatten();
            lines.extend(counters.map(|(name, count)| (name.as_str(), text(count))));
            output::one(global.output, &detail, &lines);
            if global.output == Output::Table {
                output::line(&format!(
                    "
{}",
                    text(&detail["dataflow"])
                ));
            }
        }
        Job::Stop { job, drain } => {
            let asked = format!("/v1/jobs/{job}/stop?drain={drain}");
            let answer = admin.post(&asked, &Value::Null)?;
            done(global, &answer);
            stopped(job, &answer, *drain)?;
        }
        Job::Resume { job } => done(
            global,
            &admin.post(&format!("/v1/jobs/{job}/resume"), &Value::Null)?,
        ),
        Job::Delete { job, yes } => {
            confirm(*yes, &format!("job {job} and its state"))?;
            admin.delete(&format!("/v1/jobs/{job}"))?;
            eprintln!("job {job} is deleted");
        }
    }
    Ok(())
}

/// A script that goes on after the stop relies on what the job has written by then.
fn stopped(job: &str, answer: &Value, drain: bool) -> Result<()> {
    let state = text(&answer["state"]);
    let what = match drain {
        true if state != "drained" => format!("job {job} is {state}, not drained"),
        false if state == "failed" => format!("job {job} has failed"),
        _ => return Ok(()),
    };
    bail!(
        Failure::new(Exit::Partial, "job.not-stopped", what)
            .why(text(&answer["failure"]))
            .fix(format!("see  millstream job describe {job}"))
    )
}

fn done(global: &Global, answer: &Value) {
    let lines = ["name", "state", "epoch", "rows_out"].map(|key| (key, text(&answer[key])));
    output::one(global.output, answer, &lines);
}

pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

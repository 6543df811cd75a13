//! `millstream config`: the manual of all settings, and what is wrong with a file.

use std::path::Path;

use anyhow::{Result, bail};
use settings::{Fate, Layers, Translated};

use crate::arguments::Config;
use crate::commands::up;
use crate::doors;
use crate::failure::{Exit, Failure, counted};
use crate::output;

pub fn run(command: &Config) -> Result<()> {
    match command {
        Config::Default => output::line(settings::DEFAULT.trim_end()),
        Config::Check { file } => {
            let text = read(file)?;
            match file.extension().and_then(|kind| kind.to_str()) {
                Some("conf" | "properties") => check_properties(file, &text)?,
                _ => check_settings(file, text)?,
            }
        }
    }
    Ok(())
}

/// The text of a file that the command line names.
pub fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|why| {
        Failure::new(
            Exit::NotFound,
            "settings.file",
            format!("{} cannot be read", file.display()),
        )
        .why(why)
        .fix("write one after  millstream config default")
    })
}

fn check_settings(file: &Path, text: String) -> Result<()> {
    let name = file.display();
    let findings = settings::check(&text);
    if !findings.is_empty() {
        let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
        bail!(
            Failure::new(
                Exit::Usage,
                "settings.invalid",
                format!("{name} has {}", counted(lines.len(), "mistake"))
            )
            .why(lines.join("\n"))
            .fix("all keys with their meaning:  millstream config default")
        );
    }
    let layers = Layers {
        file: Some((file.to_owned(), text)),
        ..Layers::default()
    };
    up::settings(&layers)?;
    output::line(&format!("{name} is valid"));
    Ok(())
}

/// Every line of a `broker.conf` or a name server's file, with what becomes of it.
fn check_properties(file: &Path, text: &str) -> Result<()> {
    let translated = match is_name_servers(file) {
        true => settings::translate_name_server(text),
        false => settings::translate(text),
    };
    for line in &translated.lines {
        let fate = match line.fate {
            Fate::Mapped(_) => "mapped",
            Fate::WithoutEffect(_) => "without effect",
            Fate::Refused(_) => "refused",
        };
        output::line(&format!("{fate:14}  {line}"));
    }
    refuse(file, &translated)?;
    // The file has no word for it, so what needs `--insecure` is no mistake of the file.
    let told = translated.flags().chain(["security.insecure=true"]);
    let mut settings = up::settings(&Layers {
        flags: told.map(str::to_owned).collect(),
        ..Layers::default()
    })?;
    settings.security.insecure = false;
    if let Err(failure) = doors::check(&settings) {
        eprintln!("starts with --insecure only: {}", failure.what);
    }
    Ok(())
}

/// RocketMQ gives both kinds of file the same form; ours are told apart by the name.
fn is_name_servers(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with("namesrv"))
}

/// One failure that names every line which can't be honoured.
pub fn refuse(file: &Path, translated: &Translated) -> Result<(), Failure> {
    let refusals = translated.refusals();
    if refusals.is_empty() {
        return Ok(());
    }
    let what = format!(
        "{} of {} cannot be honoured",
        counted(refusals.len(), "line"),
        file.display()
    );
    Err(Failure::new(Exit::Usage, "settings.broker-conf", what)
        .why(refusals.join("\n"))
        .fix("change or remove what is named; all that can be set:  millstream config default"))
}

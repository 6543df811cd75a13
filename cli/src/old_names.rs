//! RocketMQ's names of the roles: `mqnamesrv`, and `mqbroker -n … -c broker.conf`.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use settings::{Fate, Layers, Settings};

use crate::commands::config;
use crate::commands::up::{data_folder, serve};
use crate::failure::{Exit, Failure};
use crate::house::Roles;
use crate::output;

/// Which of RocketMQ's start scripts this process was started as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    NameServer,
    Broker,
}

impl Role {
    /// By the last part of the path the process was started as.
    pub fn of(program: &str) -> Option<Role> {
        match Path::new(program).file_name()?.to_str()? {
            "mqnamesrv" => Some(Role::NameServer),
            "mqbroker" => Some(Role::Broker),
            _ => None,
        }
    }

    /// Runs the role until it is told to stop.
    pub fn run(self, mut arguments: impl Iterator<Item = String>) -> Result<()> {
        let mut flags = vec![
            "topics.auto-create=true".to_owned(),
            "groups.auto-create=true".to_owned(),
        ];
        // As in RocketMQ, the command line beats the file, in whatever order they are given.
        let mut said = Vec::new();
        while let Some(argument) = arguments.next() {
            let mut value = || value(&argument, &mut arguments);
            match argument.as_str() {
                "-n" | "--namesrvAddr" => said.push(format!("broker.nameservers={}", value()?)),
                "-c" | "--configFile" => {
                    flags.extend(self.translated(&PathBuf::from(value()?))?);
                }
                "-p" | "--printConfigItem" => {
                    output::line(settings::DEFAULT.trim_end());
                    return Ok(());
                }
                "--insecure" => said.push("security.insecure=true".to_owned()),
                other => bail!(
                    Failure::new(
                        Exit::Usage,
                        "usage",
                        format!("{other:?} is not an option of this command")
                    )
                    .why("Millstream knows -n ADDRESS, -c FILE and -p of RocketMQ's start scripts, and --insecure of its own")
                    .fix("see  millstream --help")
                ),
            }
        }
        flags.append(&mut said);
        let (roles, data) = match self {
            Role::NameServer => (
                Roles {
                    name_server: true,
                    broker: false,
                    streams_and_connect: false,
                },
                data_folder(None)?.join("namesrv"),
            ),
            Role::Broker => (
                Roles {
                    name_server: false,
                    broker: true,
                    streams_and_connect: false,
                },
                data_folder(None)?.join("broker"),
            ),
        };
        let settings = super::commands::up::settings(&Layers {
            flags,
            ..Layers::default()
        })?;
        let told = settings.clone();
        serve(settings, data, roles, move |_| {
            // Whoever started it may have closed its output; it serves all the same.
            writeln!(std::io::stdout(), "{}", self.boot_success(&told)).ok();
        })
    }

    /// The line that RocketMQ's quickstart and its users' scripts wait for, word for word.
    fn boot_success(self, settings: &Settings) -> String {
        match self {
            Role::NameServer => format!(
                "The Name Server boot success. serializeType=JSON, address {}",
                settings.nameserver.listen
            ),
            Role::Broker => format!(
                "The broker[{}, {}] boot success. serializeType=JSON and name server is {}",
                settings.broker.name,
                settings.broker.advertised(),
                settings.broker.nameservers
            ),
        }
    }

    /// The flags of a properties file; what has no effect is said, what cannot be honoured ends the start.
    fn translated(self, file: &Path) -> Result<Vec<String>> {
        let text = config::read(file)?;
        let translated = match self {
            Role::NameServer => settings::translate_name_server(&text),
            Role::Broker => settings::translate(&text),
        };
        config::refuse(file, &translated)?;
        let name = file.display();
        for line in &translated.lines {
            if let Fate::WithoutEffect(_) = line.fate {
                eprintln!("{name}: {line}");
            }
        }
        Ok(translated.flags().map(str::to_owned).collect())
    }
}

/// What follows an option that needs it.
fn value(option: &str, rest: &mut impl Iterator<Item = String>) -> Result<String, Failure> {
    rest.next().ok_or_else(|| {
        Failure::new(Exit::Usage, "usage", format!("{option} needs a value"))
            .why("it is the last word of the command line")
            .fix("as in  mqbroker -n 127.0.0.1:9876 -c broker.conf")
    })
}

//! RocketMQ's names of the roles: `mqnamesrv`, and `mqbroker -n … -c broker.conf`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::commands::up::{data_folder, serve};
use crate::failure::{Exit, Failure};
use crate::house::Roles;
use crate::settings::{self, Layers, Line};

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
    pub fn run(self, arguments: impl Iterator<Item = String>) -> Result<()> {
        let mut flags = vec![
            "topics.auto-create=true".to_owned(),
            "groups.auto-create=true".to_owned(),
        ];
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .with_context(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "-n" | "--namesrvAddr" => flags.push(format!("broker.nameservers={}", value()?)),
                "-c" | "--configFile" => flags.extend(translated(&PathBuf::from(value()?), self)?),
                "-p" | "--printConfigItem" => {
                    print!("{}", settings::DEFAULT);
                    return Ok(());
                }
                other => bail!(
                    Failure::new(
                        Exit::Usage,
                        "usage",
                        format!("{other:?} is not an option of this command")
                    )
                    .why("Millstream knows -n ADDRESS, -c FILE and -p of RocketMQ's start scripts")
                    .fix("see  millstream --help")
                ),
            }
        }
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
        serve(settings, data, roles, move |_| match self {
            Role::NameServer => println!(
                "The Name Server boot success. serializeType=JSON, address {}",
                told.nameserver.listen
            ),
            Role::Broker => println!(
                "The broker[{}, {}] boot success. serializeType=JSON and name server is {}",
                told.broker.name, told.broker.listen, told.broker.nameservers
            ),
        })
    }
}

/// The flags of a properties file; what has no effect is said, what cannot be honoured ends the start.
fn translated(file: &Path, role: Role) -> Result<Vec<String>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    if role == Role::NameServer {
        let port = text.lines().find_map(|line| {
            line.trim()
                .strip_prefix("listenPort")?
                .trim()
                .strip_prefix('=')
        });
        return Ok(port
            .map(|port| format!("nameserver.listen=127.0.0.1:{}", port.trim()))
            .into_iter()
            .collect());
    }
    let translated = settings::translate(&text);
    let refusals = translated.refusals();
    if !refusals.is_empty() {
        bail!(
            Failure::new(
                Exit::Usage,
                "settings.broker-conf",
                format!("{} cannot be used as it is", file.display())
            )
            .why(refusals.join("\n"))
            .fix("change these lines; see all with  millstream config check FILE")
        );
    }
    for line in &translated.lines {
        if let Line::WithoutEffect { key, why } = line {
            eprintln!("{}: {key} has no effect here: {why}", file.display());
        }
    }
    Ok(translated.flags().map(str::to_owned).collect())
}

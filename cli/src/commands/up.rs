//! `millstream up`: every role in one process, on loopback.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use settings::{Layers, Settings};

use crate::arguments::Up;
use crate::commands::{config, store};
use crate::doors;
use crate::failure::{Exit, Failure, counted};
use crate::house::{House, Machine, Roles};
use crate::stop_signal::told_to_stop;

pub fn run(up: &Up) -> Result<()> {
    let file = match &up.config {
        Some(path) => Some((path.clone(), config::read(path)?)),
        None => None,
    };
    // The developer profile: what is not there is made when it is used.
    let mut flags = vec![
        "topics.auto-create=true".to_owned(),
        "groups.auto-create=true".to_owned(),
    ];
    if up.insecure {
        flags.push("security.insecure=true".to_owned());
    }
    flags.extend(up.set.iter().cloned());
    let settings = settings(&Layers {
        file,
        environment: std::env::vars().collect(),
        flags,
    })?;
    let data = data_folder(up.data.clone())?;
    let told = data.clone();
    let reach = match settings.security.insecure {
        true => "other machines may get in",
        false => "loopback only",
    };
    serve(settings, data, Roles::ALL, move |house| {
        let address = |address: Option<std::net::SocketAddr>| {
            address
                .map(|address| address.to_string())
                .unwrap_or_default()
        };
        eprintln!("data          {}", told.display());
        eprintln!(
            "name server   {}  (give this to clients)",
            address(house.name_server_address)
        );
        eprintln!("broker        {}", address(house.broker_address));
        if let Some((admin, connect)) = house.doors {
            eprintln!("jobs          http://{admin}/v1/jobs");
            eprintln!("connectors    http://{connect}/connectors");
        }
        eprintln!(
            "not safe for strangers: no login, topics and groups are made when used, {reach}"
        );
        eprintln!("stop with Ctrl-C; a second  millstream up  goes on where this one was");
    })
}

/// The settings of all layers, or one failure that names every mistake.
pub fn settings(layers: &Layers) -> Result<Settings> {
    let settings = settings::load(layers).map_err(|findings| {
        let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
        anyhow!(
            Failure::new(
                Exit::Usage,
                "settings.invalid",
                format!("the settings have {}", counted(lines.len(), "mistake"))
            )
            .why(lines.join("\n"))
            .fix("all keys with their meaning:  millstream config default")
        )
    })?;
    doors::check(&settings)?;
    Ok(settings)
}

/// Where data lies unless told: never in the current folder.
pub fn data_folder(asked: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("XDG_DATA_HOME")
        .or_else(|| Some(variable("HOME")?.join(".local/share")))
        .map(|home| home.join("millstream"))
        .context("neither HOME nor XDG_DATA_HOME is set: say where data lies with --data DIR")
}

/// Runs the roles until the process is told to stop; `ready` is called once every door is open.
pub fn serve(
    settings: Settings,
    data: PathBuf,
    roles: Roles,
    ready: impl FnOnce(&House),
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    if roles.broker
        && let Some(warning) = doors::out_of_reach(&settings.broker)
    {
        eprintln!("{warning}");
    }
    runtime.block_on(async {
        std::fs::create_dir_all(&data)
            .with_context(|| format!("cannot make {}", data.display()))?;
        let mut house = match House::start(machine(&settings), &settings, &data, roles).await {
            Ok(house) => house,
            Err(why) => return Err(cannot_start(&why)),
        };
        if let Err(why) = house.open_doors(&settings).await {
            house.stop().await?;
            return Err(cannot_start(&why));
        }
        ready(&house);
        told_to_stop().await?;
        eprintln!("stopping");
        house.stop().await
    })
}

fn cannot_start(why: &anyhow::Error) -> anyhow::Error {
    if let Some(why) = why.downcast_ref() {
        return store::explained(why).into();
    }
    Failure::new(Exit::Conflict, "up.failed", "the house cannot start")
        .why(format!("{why:#}"))
        .fix("if another one runs on the same ports or data, stop it, or choose others with --set and --data")
        .into()
}

/// The machine, with the process's own doors reached over memory.
fn machine(settings: &Settings) -> Machine {
    let mut machine = Machine::real();
    for listen in [settings.nameserver.listen, settings.broker.listen] {
        machine.net = machine.net.with_local(listen.0);
    }
    machine
}

//! What a run is asked to do.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use crate::target::Target;

/// What an acknowledgement promises: to survive a `kill -9`, or a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    Async,
    Sync,
}

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nemesis {
    /// SIGKILL: at any time, during recovery, at the change of segments.
    Kill,
    /// SIGSTOP for a while.
    Stop,
    /// Connections cut, stalled or closed one way.
    Cut,
    /// The file system is full for a while.
    Full,
    /// Bytes of the broker's files are overwritten while it is down.
    Damage,
    /// The machine loses its power.
    Power,
}

impl Nemesis {
    pub const ALL: [Nemesis; 6] = [
        Nemesis::Kill,
        Nemesis::Stop,
        Nemesis::Cut,
        Nemesis::Full,
        Nemesis::Damage,
        Nemesis::Power,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Nemesis::Kill => "kill",
            Nemesis::Stop => "stop",
            Nemesis::Cut => "cut",
            Nemesis::Full => "full",
            Nemesis::Damage => "damage",
            Nemesis::Power => "power",
        }
    }
}

/// Who sends and reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients {
    Rust,
    Java,
    Both,
}

impl Clients {
    pub fn rust(self) -> bool {
        self != Clients::Java
    }

    pub fn java(self) -> bool {
        self != Clients::Rust
    }

    pub fn name(self) -> &'static str {
        match self {
            Clients::Rust => "rust",
            Clients::Java => "java",
            Clients::Both => "both",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Plan {
    /// Blows in all; a round has [`Plan::ROUND`] at most.
    pub cycles: u64,
    pub flush: Flush,
    pub nemeses: Vec<Nemesis>,
    pub seed: u64,
    pub clients: Clients,
    pub target: Target,
    /// Whether an acknowledgement is held to survive a loss of power in asynchronous mode, too.
    /// It does not: a judge that has no objection then is not worth its name.
    pub strict: bool,
    /// Where the rounds' folders are made; the system's folder for such things by default.
    pub folder: Option<PathBuf>,
    /// Where the runs are written down.
    pub record: Option<PathBuf>,
}

pub const USAGE: &str = "\
chaos --program PATH [--cycles N] [--flush async|sync] [--nemesis kill|stop|cut|full|damage|power|all]
      [--seed S] [--client rust|java|both] [--against rocketmq|rocketmq-rust] [--strict]
      [--folder DIR] [--record FILE]
  --strict   hold an acknowledgement to survive a loss of power, whatever the flush setting says";

impl Plan {
    /// Every round has a folder, a seed and a verdict of its own, so that a long run needs no
    /// more room than a short one.
    pub const ROUND: u64 = 25;

    /// Kills of a program, by a client, as often as said.
    pub fn kills(program: PathBuf, flush: Flush, clients: Clients, cycles: u64, seed: u64) -> Plan {
        Plan {
            cycles,
            flush,
            nemeses: vec![Nemesis::Kill],
            seed,
            clients,
            target: Target::Millstream(program),
            strict: false,
            folder: None,
            record: None,
        }
    }

    /// Reads a command line; the program may stand in the environment. A seed that nobody
    /// chose is `default_seed`.
    pub fn parse(words: &[String], default_seed: u64) -> Result<Plan> {
        let mut program = std::env::var_os("MILLSTREAM_BINARY").map(PathBuf::from);
        let mut against = None;
        let mut plan = Plan::kills(
            PathBuf::new(),
            Flush::Async,
            Clients::Rust,
            25,
            default_seed,
        );
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            if word == "--strict" {
                plan.strict = true;
                continue;
            }
            let value = words
                .next()
                .with_context(|| format!("{word} needs a value\n{USAGE}"))?;
            match word {
                "--program" => program = Some(value.into()),
                "--cycles" => plan.cycles = value.parse().context("--cycles is a number")?,
                "--seed" => plan.seed = value.parse().context("--seed is a number")?,
                "--flush" => plan.flush = value.parse()?,
                "--nemesis" => plan.nemeses = nemeses(value)?,
                "--client" => plan.clients = value.parse()?,
                "--folder" => plan.folder = Some(value.into()),
                "--record" => plan.record = Some(value.into()),
                "--against" => against = Some(value),
                _ => bail!("{word} is no option\n{USAGE}"),
            }
        }
        ensure!(plan.cycles > 0, "no cycle is no trial");
        let ours_needed = [Nemesis::Full, Nemesis::Damage];
        ensure!(
            plan.clients.rust() || !ours_needed.iter().any(|kind| plan.nemeses.contains(kind)),
            "full and damage are judged by what our own client was told: --client rust or both"
        );
        plan.target = match against {
            Some(name) => name.parse()?,
            None => Target::Millstream(
                program.with_context(|| format!("which broker? --program PATH\n{USAGE}"))?,
            ),
        };
        Ok(plan)
    }

    pub fn nemesis_names(&self) -> String {
        let names: Vec<_> = self.nemeses.iter().map(|nemesis| nemesis.name()).collect();
        names.join("+")
    }
}

fn nemeses(text: &str) -> Result<Vec<Nemesis>> {
    if text == "all" {
        return Ok(Nemesis::ALL.to_vec());
    }
    let one = |name: &str| {
        let found = Nemesis::ALL
            .into_iter()
            .find(|nemesis| nemesis.name() == name);
        found.with_context(|| format!("there is no nemesis {name:?}\n{USAGE}"))
    };
    text.split([',', '+']).map(one).collect()
}

impl FromStr for Flush {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Flush> {
        match text {
            "async" => Ok(Flush::Async),
            "sync" => Ok(Flush::Sync),
            _ => bail!("a flush setting is async or sync, not {text:?}"),
        }
    }
}

impl fmt::Display for Flush {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Flush::Async => "async",
            Flush::Sync => "sync",
        })
    }
}

impl FromStr for Clients {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Clients> {
        [Clients::Rust, Clients::Java, Clients::Both]
            .into_iter()
            .find(|clients| clients.name() == text)
            .with_context(|| format!("a client is rust, java or both, not {text:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Plan> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Plan::parse(&words, 7)
    }

    #[test]
    fn a_command_line_is_a_plan() {
        let plan = parse("--program b --cycles 3 --flush sync --nemesis kill,power --client both");
        let plan = plan.expect("it is right");
        assert_eq!((plan.cycles, plan.flush, plan.seed), (3, Flush::Sync, 7));
        assert_eq!(plan.nemesis_names(), "kill+power");
        assert!(plan.clients.rust() && plan.clients.java());
        assert_eq!(
            parse("--program b --nemesis all")
                .expect("it is right")
                .nemeses
                .len(),
            6
        );
    }

    #[test]
    fn what_is_not_known_is_named() {
        for (line, named) in [
            ("--program b --nemesis fire", "fire"),
            ("--program b --flush later", "later"),
            ("--program b --cycles 0", "no cycle"),
            ("--program b --against kafka", "kafka"),
            ("--program b --what x", "--what"),
        ] {
            let why = parse(line).expect_err(line).to_string();
            assert!(why.contains(named), "{line}: {why}");
        }
    }
}

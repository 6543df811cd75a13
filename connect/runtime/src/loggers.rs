//! The levels of the process's log, looked at and changed while it runs.
//!
//! A logger is a module, `connect_runtime::task`, and what lies below it; `root` is every other.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use runtime::Clock;
use tracing::level_filters::LevelFilter;

/// The name of the level of every module that has none of its own.
const ROOT: &str = "root";

/// Hands new levels to whoever writes the log, as `warn,connect_runtime=debug`.
type Apply = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// How much a logger says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(LevelFilter);

impl Level {
    /// Reads a level in Kafka Connect's words, small or large.
    pub fn parse(word: &str) -> Option<Self> {
        Some(Self(match word.to_ascii_uppercase().as_str() {
            "OFF" => LevelFilter::OFF,
            "FATAL" | "ERROR" => LevelFilter::ERROR,
            "WARN" => LevelFilter::WARN,
            "INFO" => LevelFilter::INFO,
            "DEBUG" => LevelFilter::DEBUG,
            "TRACE" | "ALL" => LevelFilter::TRACE,
            _ => return None,
        }))
    }

    /// Kafka Connect's word.
    pub fn name(self) -> String {
        self.0.to_string().to_ascii_uppercase()
    }
}

/// One logger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logger {
    /// How much it says.
    pub level: Level,
    /// When that was last changed, in milliseconds since 1970.
    pub last_modified: Option<i64>,
}

/// The loggers of this process. Cheap to clone.
#[derive(Clone)]
pub struct Loggers {
    /// Guards the known levels; whoever changes one applies it before another can.
    known: Arc<Mutex<BTreeMap<String, Logger>>>,
    /// Directives that name no plain level, kept as they were given.
    others: Arc<[String]>,
    clock: Clock,
    apply: Arc<Apply>,
}

impl Loggers {
    /// The loggers of a log that began with these directives.
    pub fn new(
        directives: &str,
        clock: Clock,
        apply: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let (mut known, mut others) = (BTreeMap::new(), Vec::new());
        let root = Level(LevelFilter::ERROR);
        known.insert(ROOT.to_owned(), Logger::of(root));
        for directive in directives.split(',').map(str::trim) {
            let (name, level) = directive.split_once('=').unwrap_or((ROOT, directive));
            match Level::parse(level) {
                Some(level) if is_name(name) => drop(known.insert(name.into(), Logger::of(level))),
                _ if directive.is_empty() => {}
                _ => others.push(directive.to_owned()),
            }
        }
        Self {
            known: Arc::new(Mutex::new(known)),
            others: others.into(),
            clock,
            apply: Arc::new(apply),
        }
    }

    /// Every logger with a level of its own.
    pub fn all(&self) -> BTreeMap<String, Logger> {
        self.known.lock().clone()
    }

    /// Sets the level of a logger and of those below it, and returns their names. `None` if
    /// there can be no logger of that name.
    pub fn set(&self, name: &str, level: Level) -> Option<Vec<String>> {
        if !is_name(name) {
            return None;
        }
        let mut known = self.known.lock();
        let mut changed = known.clone();
        changed.entry(name.to_owned()).or_insert(Logger {
            level: Level(LevelFilter::OFF),
            last_modified: None,
        });
        let now = self.clock.wall();
        let mut names = Vec::new();
        for (known_name, logger) in &mut changed {
            if !is_below(known_name, name) {
                continue;
            }
            if logger.level != level || !known.contains_key(known_name) {
                *logger = Logger {
                    level,
                    last_modified: Some(now),
                };
            }
            names.push(known_name.clone());
        }
        (self.apply)(&self.directives(&changed)).ok()?;
        *known = changed;
        Some(names)
    }

    fn directives(&self, loggers: &BTreeMap<String, Logger>) -> String {
        let directive = |(name, logger): (&String, &Logger)| match name.as_str() {
            ROOT => logger.level.0.to_string(),
            name => format!("{name}={}", logger.level.0),
        };
        let all = loggers.iter().map(directive);
        all.chain(self.others.iter().cloned())
            .collect::<Vec<_>>()
            .join(",")
    }
}

impl Logger {
    fn of(level: Level) -> Self {
        Self {
            level,
            last_modified: None,
        }
    }
}

/// The path of a module, as it stands in a log.
fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !part.is_empty() && part.bytes().all(plain)
    };
    name.split("::").all(part)
}

fn is_below(name: &str, above: &str) -> bool {
    let rest = name.strip_prefix(above);
    above == ROOT || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loggers(directives: &str) -> (Loggers, Arc<Mutex<Vec<String>>>) {
        let applied = Arc::new(Mutex::new(Vec::new()));
        let heard = applied.clone();
        let loggers = Loggers::new(directives, Clock::real(), move |directives| {
            heard.lock().push(directives.to_owned());
            Ok(())
        });
        (loggers, applied)
    }

    fn level(word: &str) -> Level {
        Level::parse(word).expect("a level")
    }

    #[test]
    fn a_level_counts_for_what_lies_below_and_the_rest_stays() {
        let (loggers, applied) = loggers("warn,store=error,store::log=info,[span]=debug");
        let changed = loggers.set("store", level("debug"));
        assert_eq!(changed, Some(vec!["store".into(), "store::log".into()]));
        assert_eq!(
            *applied.lock(),
            ["warn,store=debug,store::log=debug,[span]=debug"]
        );
        let all = loggers.all();
        assert_eq!(all["root"], Logger::of(level("WARN")));
        assert_eq!(all["store"].level.name(), "DEBUG");
        let first = all["store"].last_modified;
        assert!(first.is_some());
        loggers.set("store", level("DEBUG"));
        assert_eq!(loggers.all()["store"].last_modified, first, "no change");
    }

    #[test]
    fn the_root_is_above_all_and_a_new_logger_may_be_named() {
        let (loggers, applied) = loggers("info,store=error");
        assert_eq!(
            loggers.set("client::routes", level("TRACE")),
            Some(vec!["client::routes".into()])
        );
        let changed = loggers.set("root", level("FATAL")).expect("it is there");
        assert_eq!(changed, ["client::routes", "root", "store"]);
        assert_eq!(
            applied.lock().last().map(String::as_str),
            Some("client::routes=error,error,store=error")
        );
    }

    #[test]
    fn what_is_no_module_is_no_logger() {
        let (loggers, applied) = loggers("info");
        for name in ["", "org.apache.kafka", "a=b", "a::", "x,y"] {
            assert_eq!(loggers.set(name, level("INFO")), None, "{name}");
        }
        assert!(applied.lock().is_empty());
        assert!(Level::parse("LOUD").is_none());
    }
}

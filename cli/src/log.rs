//! What the process says on standard error, and how much of it.

use std::sync::OnceLock;

use connect_runtime::Loggers;
use runtime::Clock;
use tracing_subscriber::EnvFilter;

/// How much is said unless `MILLSTREAM_LOG` says otherwise.
const DIRECTIVES: &str = "warn,fjall=error,lsm_tree=error";

/// A process has one log, and whoever serves its levels is far from `main`.
static LOGGERS: OnceLock<Loggers> = OnceLock::new();

/// Begins to write the log.
pub fn start() {
    let asked = std::env::var("MILLSTREAM_LOG").ok();
    let asked = asked.filter(|directives| EnvFilter::try_new(directives).is_ok());
    let directives = asked.unwrap_or_else(|| DIRECTIVES.to_owned());
    let log = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&directives))
        .with_writer(std::io::stderr)
        .with_filter_reloading();
    let handle = log.reload_handle();
    log.init();
    let loggers = Loggers::new(&directives, Clock::real(), move |directives| {
        let filter = EnvFilter::try_new(directives).map_err(|why| why.to_string())?;
        handle.reload(filter).map_err(|why| why.to_string())
    });
    LOGGERS.set(loggers).ok();
}

/// The levels of the log; of none if it was never begun.
pub fn loggers() -> Loggers {
    let none = || Loggers::new("off", Clock::real(), |_| Err("there is no log".to_owned()));
    LOGGERS.get_or_init(none).clone()
}

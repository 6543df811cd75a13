//! Ctrl-C and SIGTERM.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Resolves once the process is told to stop.
pub async fn told_to_stop() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

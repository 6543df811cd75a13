//! Makes a panic inside a function readable to whoever runs it.

use std::sync::Once;

use crate::bindings::log::{Level, log};

static REPORTED: Once = Once::new();

/// From now on a panic's message goes to the host's log before the trap; the
/// host shows it with the error.
pub fn report_panics() {
    REPORTED.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
    });
}

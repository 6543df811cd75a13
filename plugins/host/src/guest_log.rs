//! What a function says: shortened, escaped, and not too often.

use std::fmt::Write;

use wasmtime::component::{ComponentType, Lift};

/// Lines one call may log; the rest are counted.
const LINES_PER_CALL: u32 = 20;
/// Characters kept of one line.
const LINE_CHARACTERS: usize = 1_000;
/// Bytes of an unfinished line that are kept while its end is awaited.
const PENDING_BYTES: usize = 4 * LINE_CHARACTERS;

/// As `millstream:udf/log` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// The log of one instance.
pub(crate) struct GuestLog {
    module: String,
    lines: u32,
    /// What a broken function said about it, to be shown with the trap.
    last_words: Option<String>,
    /// Bytes written to standard output or error after the last line feed.
    pending: Vec<u8>,
}

impl GuestLog {
    pub(crate) fn new(module: String) -> Self {
        Self {
            module,
            lines: 0,
            last_words: None,
            pending: Vec::new(),
        }
    }

    /// Call before every call into the guest.
    pub(crate) fn begin(&mut self) {
        self.lines = 0;
        self.last_words = None;
        self.pending.clear();
    }

    /// Call after every call into the guest.
    pub(crate) fn end(&mut self) {
        if let Some(more) = self.lines.checked_sub(LINES_PER_CALL).filter(|n| *n > 0) {
            tracing::warn!(target: "wasm", module = self.module, "{more} more lines in one call were dropped");
        }
        self.lines = 0;
    }

    pub(crate) fn line(&mut self, level: Level, text: &str) {
        if level == Level::Error {
            self.last_words = Some(printable(text));
        }
        self.emit(level, text);
    }

    /// What a module writes to standard error (`error`) or output. A crash report starts with
    /// its reason, so the first line to standard error stays as the last words.
    pub(crate) fn write(&mut self, error: bool, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.pending);
                let line = String::from_utf8_lossy(&line);
                if error && self.last_words.is_none() && !line.is_empty() {
                    self.last_words = Some(printable(&line));
                }
                self.emit(if error { Level::Warn } else { Level::Info }, &line);
            } else if self.pending.len() < PENDING_BYTES {
                self.pending.push(*byte);
            }
        }
    }

    pub(crate) fn last_words(&self) -> Option<&str> {
        self.last_words.as_deref()
    }

    fn emit(&mut self, level: Level, text: &str) {
        self.lines = self.lines.saturating_add(1);
        if self.lines > LINES_PER_CALL {
            return;
        }
        let (module, text) = (&self.module, printable(text));
        match level {
            Level::Debug => tracing::debug!(target: "wasm", module, "{text}"),
            Level::Info => tracing::info!(target: "wasm", module, "{text}"),
            Level::Warn => tracing::warn!(target: "wasm", module, "{text}"),
            Level::Error => tracing::error!(target: "wasm", module, "{text}"),
        }
    }
}

/// A guest's text as it may stand in a log or an error: one line, no control characters,
/// at most 1,000 characters.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(LINE_CHARACTERS));
    let mut characters = text.chars();
    for character in characters.by_ref().take(LINE_CHARACTERS) {
        if character.is_control() {
            write!(shown, "{}", character.escape_default()).expect("a String takes any text");
        } else {
            shown.push(character);
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_forge_lines_or_colours() {
        assert_eq!(
            printable("ok\nERROR x\u{1b}[31m"),
            "ok\\nERROR x\\u{1b}[31m"
        );
    }

    #[test]
    fn a_long_line_is_cut() {
        assert_eq!(printable(&"é".repeat(5_000)).chars().count(), 1_001);
    }

    #[test]
    fn the_first_line_to_standard_error_is_the_last_words() {
        let mut log = GuestLog::new("m".to_owned());
        log.begin();
        log.write(false, b"hello\n");
        log.write(true, b"panic: index ");
        log.write(true, b"out of range\ngoroutine 1 [running]:\n");
        assert_eq!(log.last_words(), Some("panic: index out of range"));
        log.begin();
        assert_eq!(log.last_words(), None);
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut log = GuestLog::new("m".to_owned());
        for _ in 0..1_000 {
            log.write(true, &[b'x'; 1_000]);
        }
        assert!(log.pending.len() <= PENDING_BYTES);
    }
}

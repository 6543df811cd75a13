//! The table of what was sent and what came back.

use std::fmt::Write;
use std::path::{Path, PathBuf};

const HEAD: &str = "\
# Bad input

What each door answers. Written and compared by `tests/bad_input`; `MILLSTREAM_TABLE=write` accepts a change.
In all cases the process lives on, and what was stored before is still served.

| door | what is sent | what a user sees |
|---|---|---|
";

pub struct Table {
    /// Where files of bad input lie.
    pub folder: PathBuf,
    text: String,
}

impl Table {
    pub fn new(folder: &Path) -> Table {
        Table {
            folder: folder.to_owned(),
            text: HEAD.to_owned(),
        }
    }

    /// A file in the test's folder.
    pub fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, content).expect("a file is written");
        path.display().to_string()
    }

    pub fn row(&mut self, door: &str, sent: &str, seen: &str) {
        let seen = self.without_accidents(seen);
        assert!(!seen.is_empty(), "{door}, {sent}: nothing is said");
        let lines: Vec<_> = seen
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| format!("`` {} ``", line.trim_end().replace('|', "\\|")))
            .collect();
        writeln!(
            self.text,
            "| {door} | {} | {} |",
            sent.replace('|', "\\|"),
            lines.join("<br>")
        )
        .expect("text is written into memory");
    }

    /// Compares with the table in the checkout.
    pub fn compare(&self) {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_input/table.md");
        if std::env::var_os("MILLSTREAM_TABLE").is_some_and(|wish| wish == "write") {
            std::fs::write(&place, &self.text).expect("the table is written");
        }
        let known = std::fs::read_to_string(&place).unwrap_or_default();
        let mut known = known.lines();
        for line in self.text.lines() {
            assert_eq!(Some(line), known.next(), "in {}", place.display());
        }
        assert_eq!(known.next(), None, "in {}", place.display());
    }

    /// Folders, ports and ids are another every time.
    fn without_accidents(&self, seen: &str) -> String {
        let seen = seen.replace(&self.folder.display().to_string(), "DIR");
        let clean = without_hosts(&seen);
        if let Some((before, id)) = clean.split_once("\"request_id\":\"") {
            let behind = id.find('"').map_or("", |end| &id[end..]);
            return format!("{before}\"request_id\":\"ID{behind}");
        }
        match clean.split_once("request ") {
            Some((before, id)) if before.contains("where: ") => {
                let behind = id.find(char::is_whitespace).map_or("", |end| &id[end..]);
                format!("{before}request ID{behind}")
            }
            _ => clean,
        }
    }
}

/// The ports of addresses that are meant as examples.
const EXAMPLES: [&str; 2] = ["9876", "10911"];

/// A test's own addresses are somewhere in 127.0.0.0/8.
fn without_hosts(seen: &str) -> String {
    let mut clean = String::new();
    let mut rest = seen;
    while let Some(at) = rest.find("127.") {
        let (before, address) = rest.split_at(at);
        let end = address.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ':'));
        let (address, behind) = address.split_at(end.unwrap_or(address.len()));
        // What follows an address in a sentence is not part of it.
        let shown = address.trim_end_matches(['.', ':']);
        let (_, port) = shown.split_once(':').unwrap_or((shown, ""));
        clean.push_str(before);
        match port.is_empty() || EXAMPLES.contains(&port) {
            true => clean.push_str(shown),
            false => clean.push_str("HOST"),
        }
        clean.push_str(&address[shown.len()..]);
        rest = behind;
    }
    clean.push_str(rest);
    clean
}

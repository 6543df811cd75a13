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
        let mut clean = String::new();
        let mut rest = seen.as_str();
        while let Some((before, behind)) = rest.split_once("127.0.0.1:") {
            clean.push_str(before);
            clean.push_str("HOST");
            rest = behind.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        clean.push_str(rest);
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

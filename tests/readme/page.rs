//! What a Markdown page shows in fences.

/// Stands in the line above a shell block that no test can run, with the reason.
const NOT_RUN: &str = "<!-- not run: ";

pub struct Page {
    pub shell: Vec<Block>,
    /// Language and text of the other fences.
    others: Vec<(String, String)>,
}

/// One fence with shell commands.
pub enum Block {
    Run(Vec<String>),
    Skipped { why: String },
}

impl Page {
    pub fn read(text: &str) -> Page {
        let (mut shell, mut others) = (Vec::new(), Vec::new());
        let mut above = "";
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(language) = line.strip_prefix("```") {
                let inside: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
                match (language, above.strip_prefix(NOT_RUN)) {
                    ("sh", Some(why)) => shell.push(Block::Skipped {
                        why: why.trim_end_matches("-->").trim().to_owned(),
                    }),
                    ("sh", None) => shell.push(Block::Run(commands(&inside))),
                    _ => others.push((language.to_owned(), inside.join("\n"))),
                }
            }
            above = line;
        }
        Page { shell, others }
    }

    /// The text of a fence, counted among those of its language.
    pub fn code(&self, language: &str, number: usize) -> &str {
        let mut fences = self.others.iter().filter(|(known, _)| known == language);
        let (_, text) = fences.nth(number).expect("the page has this fence");
        text
    }
}

/// A line is a command, unless it goes on in the next.
fn commands(lines: &[&str]) -> Vec<String> {
    let mut commands = Vec::new();
    let mut command = String::new();
    for line in lines {
        command.push_str(line);
        if line.ends_with('\\') {
            command.push('\n');
        } else if !command.trim().is_empty() {
            commands.push(std::mem::take(&mut command));
        }
    }
    commands
}

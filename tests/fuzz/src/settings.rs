//! What a person writes into `broker.conf`, a name server's file, or `millstream.toml`.

use settings::{Fate, Layers, Translated, check, load, translate, translate_name_server};

/// The three kinds have one form, so each text is tried as all of them.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    every_line_has_a_fate(text, &translate(text));
    every_line_has_a_fate(text, &translate_name_server(text));
    of_our_own(text);
}

fn every_line_has_a_fate(text: &str, translated: &Translated) {
    let lines: Vec<&str> = text.lines().collect();
    let meant = |line: &str| !line.is_empty() && !line.starts_with(['#', '!']);
    let numbered = lines.iter().enumerate();
    let expected = numbered.filter(|(_, line)| meant(line.trim()));
    let expected: Vec<usize> = expected.map(|(index, _)| index + 1).collect();
    let found = translated.lines.iter().map(|line| line.number);
    assert_eq!(found.collect::<Vec<_>>(), expected);
    for line in &translated.lines {
        assert!(lines[line.number - 1].trim().starts_with(&line.key));
        let said = line.to_string();
        let place = format!("line {}: {}", line.number, line.key);
        assert!(
            said.len() > place.len() && said.starts_with(&place),
            "{said}"
        );
    }
    let refused = |fate: &Fate| matches!(fate, Fate::Refused(_));
    let refused = translated.lines.iter().filter(|line| refused(&line.fate));
    assert_eq!(translated.refusals().len(), refused.count());
    let flags = translated.flags().map(str::to_owned).collect();
    let loaded = load(&Layers {
        flags,
        ..Layers::default()
    });
    assert!(loaded.is_ok(), "every mapped line is valid: {loaded:?}");
}

/// Whatever is wrong has a place, and what has nothing wrong is taken.
fn of_our_own(text: &str) {
    let findings = check(text);
    for finding in &findings {
        let said = finding.to_string();
        let place = said.strip_prefix("settings:").unwrap_or_default();
        let line = place.split(':').next().and_then(|line| line.parse().ok());
        let lines = text.split('\n').count();
        assert!(
            line.is_some_and(|line| (1..=lines).contains(&line)),
            "{said}"
        );
    }
    let file = Some(("millstream.toml".into(), text.to_owned()));
    let loaded = load(&Layers {
        file,
        ..Layers::default()
    });
    assert_eq!(loaded.is_ok(), findings.is_empty(), "{loaded:?}");
}

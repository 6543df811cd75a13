//! A message's properties: read as they came, and changed.

use model::{Properties, PropertiesView};

/// Up to the first 0x00 the text as it came; behind it names and values to set, separated by
/// 0x00, an empty value being a removal.
pub(crate) fn run(bytes: &[u8]) {
    let mut parts = bytes.split(|byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    reads_as_its_tokens(PropertiesView::new(text));
    let mut properties = Properties::parse(text);
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
            return;
        };
        if [name, value]
            .iter()
            .any(|part| part.contains(['\u{1}', '\u{2}']))
            || name.is_empty()
        {
            return;
        }
        change(&mut properties, name, value);
    }
}

fn reads_as_its_tokens(view: PropertiesView<'_>) {
    let tokens: Vec<_> = view.iter().collect();
    for (name, _) in &tokens {
        let last = tokens.iter().rev().find(|(other, _)| other == name);
        let last = last.map(|(_, value)| *value);
        assert_eq!(view.get(name), last, "of two the last counts");
        assert_eq!(view.get_all([name, "TAGS"])[0], last);
    }
    assert_eq!(view.get_all(["no such name"]), [view.get("no such name")]);
}

/// Whatever is done to one property, the others stay as they were.
fn change(properties: &mut Properties, name: &str, value: &str) {
    let others = |properties: &Properties| -> Vec<(String, String)> {
        let tokens = properties.iter().filter(|(other, _)| *other != name);
        tokens
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    };
    let (before, had) = (others(properties), properties.get(name).map(str::to_owned));
    if value.is_empty() {
        assert_eq!(properties.remove(name), had);
        assert_eq!(properties.get(name), None);
    } else {
        properties.set(name, value);
        assert_eq!(properties.get(name), Some(value));
    }
    assert_eq!(others(properties), before);
    reads_as_its_tokens(properties.view());
}

//! A filter's text, and the messages it is asked about.

use sql_filter::Filter;

/// `x` and `y` are absent.
const PROPERTIES: &[(&str, &str)] = &[
    ("a", "5"),
    ("b", "y"),
    ("d", "5.5"),
    ("f", ""),
    ("big", "3000000000"),
    ("t", "true"),
    ("quote", "it's"),
    ("TAGS", "TagA"),
    ("hex", " 0x1.8p1 "),
    ("nan", "NaN"),
    ("zero", "-0.0"),
];

/// Up to a 0x00 the expression; behind it a value that every property has in one more message.
pub(crate) fn run(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let Ok(text) = std::str::from_utf8(parts.next().unwrap_or_default()) else {
        return;
    };
    let filter = match Filter::parse(text) {
        Ok(filter) => filter,
        Err(why) => {
            assert!(!why.to_string().is_empty());
            return;
        }
    };
    let value = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let same: Vec<_> = PROPERTIES
        .iter()
        .map(|(name, _)| (*name, &*value))
        .collect();
    let none: [(&str, &str); 0] = [];
    let passes = [
        filter.matches(PROPERTIES),
        filter.matches(&same),
        filter.matches(&none),
    ];
    // Asked again it says the same.
    let again = Filter::parse(text).expect("it was read before");
    assert_eq!(again.matches(PROPERTIES), passes[0]);
    assert_eq!(again.matches(&none), passes[2]);
    // A parenthesis that ends the expression would leave a part of it outside the negation.
    if text.contains(['(', ')']) {
        return;
    }
    let opposite = Filter::parse(&format!("NOT ({text}\n)"));
    let twice = Filter::parse(&format!("(({text}\n))"));
    if let (Ok(opposite), Ok(twice)) = (opposite, twice) {
        let pairs = [
            (opposite.matches(PROPERTIES), twice.matches(PROPERTIES)),
            (opposite.matches(&same), twice.matches(&same)),
            (opposite.matches(&none), twice.matches(&none)),
        ];
        for pair in pairs {
            assert_ne!(pair, (true, true), "{text:?} passes, and its opposite");
        }
    }
}

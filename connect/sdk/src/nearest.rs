//! The known word nearest to one that is not known.

/// The candidate fewest edits away from `word`, if so near that a slip is likely. Among equals
/// the first wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = 1 + word.chars().count() / 4;
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let distance = edits(word, candidate);
        if distance <= allowed && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Insertions, removals, replacements and swaps of neighbours between two words. Signs that
/// only separate (`-`, `_`, `.`) count as one another, and capitals as their small letters.
fn edits(a: &str, b: &str) -> usize {
    let fold = |text: &str| -> Vec<char> {
        let same = |c: char| if matches!(c, '_' | '.') { '-' } else { c };
        text.chars()
            .flat_map(char::to_lowercase)
            .map(same)
            .collect()
    };
    let (a, b) = (fold(a), fold(b));
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut least = (above[j] + usize::from(x != y))
                .min(above[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        let known = ["path", "format", "tasks.max", "connector.class"];
        assert_eq!(nearest(word, known), expected, "{word}");
    }

    #[test]
    fn a_slip_finds_the_word_that_was_meant() {
        check("paht", Some("path"));
        check("formt", Some("format"));
        check("tasks-max", Some("tasks.max"));
        check("TASKS_MAX", Some("tasks.max"));
        check("conector.clas", Some("connector.class"));
    }

    #[test]
    fn a_word_far_from_all_finds_none() {
        check("colour", None);
        check("", None);
    }
}

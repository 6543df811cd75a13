//! The known words nearest to one that is not known.

/// Shown at most.
const SHOWN: usize = 3;

/// The candidates with the fewest edits, nearest first, as far as they may have been meant.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> = candidates
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= candidate.len().max(word.len()) / 2)
        .collect();
    near.sort_unstable();
    near.into_iter()
        .map(|(_, candidate)| candidate)
        .take(SHOWN)
        .collect()
}

/// Levenshtein's distance in characters.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_words_are_not_suggested() {
        let none: [&str; 0] = [];
        assert_eq!(nearest("zzzzzzzz", ["broker", "store"].into_iter()), none);
        assert_eq!(
            nearest("brokr", ["store", "brokers", "broker"].into_iter()),
            ["broker", "brokers"]
        );
    }
}

//! Finds the rows that make a function trap, by halving the batch.

use std::ops::Range;

use crate::CallError;

/// Rows that are named at most; a function that traps on more of them is simply broken.
const OFFENDERS: usize = 64;
/// Evaluations the search may take. One bad row among 8,192 takes 26.
const EVALUATIONS: usize = 1_024;

/// The rows below `rows`, ascending, that end `eval` with a trap when evaluated alone.
///
/// `start` makes something to evaluate with, and is asked again after every trap: what
/// trapped is not trusted. The search ends early at any other failure.
pub(crate) fn offenders<I>(
    rows: usize,
    mut start: impl FnMut() -> Result<I, CallError>,
    mut eval: impl FnMut(&mut I, Range<usize>) -> Result<(), CallError>,
) -> Vec<usize> {
    let mut found = Vec::new();
    if rows == 1 {
        return vec![0];
    }
    // The whole batch is known to trap; last in, first out keeps the rows in order.
    let mut suspects = vec![rows / 2..rows, 0..rows / 2];
    let mut instance = None;
    for _ in 0..EVALUATIONS {
        let Some(range) = suspects.pop() else { break };
        let mut fresh = match instance.take() {
            Some(instance) => instance,
            None => match start() {
                Ok(instance) => instance,
                Err(_) => break,
            },
        };
        match eval(&mut fresh, range.clone()) {
            // A refusal is an answer; only traps are looked for.
            Ok(()) | Err(CallError::Rows(_) | CallError::Batch(_)) => instance = Some(fresh),
            Err(CallError::Trap { .. }) if range.len() == 1 => {
                found.push(range.start);
                if found.len() == OFFENDERS {
                    break;
                }
            }
            Err(CallError::Trap { .. }) => {
                let middle = range.start + range.len() / 2;
                suspects.push(middle..range.end);
                suspects.push(range.start..middle);
            }
            Err(_) => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trap() -> CallError {
        CallError::Trap {
            why: "unreachable".to_owned(),
            rows: Vec::new(),
        }
    }

    /// Searches a batch whose `bad` rows trap, and counts evaluations.
    fn search(rows: usize, bad: &[usize]) -> (Vec<usize>, usize) {
        let mut evaluations = 0;
        let found = offenders(
            rows,
            || Ok(false),
            |trapped, range| {
                evaluations += 1;
                assert!(!*trapped, "a trapped instance is not used again");
                if bad.iter().any(|row| range.contains(row)) {
                    *trapped = true;
                    return Err(trap());
                }
                Ok(())
            },
        );
        (found, evaluations)
    }

    #[test]
    fn bad_rows_are_found_in_order() {
        assert_eq!(search(1_000, &[999, 0, 500, 501]).0, [0, 500, 501, 999]);
        assert_eq!(search(1, &[0]).0, [0]);
        assert_eq!(search(3, &[1]).0, [1]);
    }

    #[test]
    fn one_bad_row_of_8192_costs_26_evaluations() {
        assert_eq!(search(8_192, &[4_711]), (vec![4_711], 26));
    }

    #[test]
    fn a_function_that_always_traps_is_not_asked_forever() {
        let all: Vec<usize> = (0..8_192).collect();
        let (found, evaluations) = search(8_192, &all);
        assert_eq!(found, all[..64]);
        assert!(evaluations <= EVALUATIONS);
    }

    #[test]
    fn a_trap_that_needs_several_rows_blames_none() {
        let found = offenders(
            8,
            || Ok(()),
            |(), range| match range.len() {
                2.. => Err(trap()),
                _ => Ok(()),
            },
        );
        assert!(found.is_empty(), "{found:?}");
    }
}

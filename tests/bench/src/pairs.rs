//! What paired rounds say: the median of their ratios, and how sure that is.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

const RESAMPLES: usize = 10_000;

/// A ratio of ours to theirs over several pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    pub median: f64,
    /// 95 of 100 resamplings of the pairs have their median in here.
    pub low: f64,
    pub high: f64,
    pub pairs: usize,
}

impl Ratio {
    /// Of `(ours, theirs)`; `None` without a pair that can be divided.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Ratio> {
        let ratios: Vec<f64> = pairs
            .iter()
            .filter(|(_, theirs)| *theirs > 0.0)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        let (low, high) = interval(&ratios)?;
        Some(Ratio {
            median: median(&ratios)?,
            low,
            high,
            pairs: ratios.len(),
        })
    }
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The bootstrap's 95 % interval of the median; the same for the same values.
fn interval(values: &[f64]) -> Option<(f64, f64)> {
    let mut random = SmallRng::seed_from_u64(95);
    let mut medians = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let draw = |_| values[random.random_range(0..values.len())];
        let drawn: Vec<f64> = match values.is_empty() {
            true => return None,
            false => (0..values.len()).map(draw).collect(),
        };
        medians.push(median(&drawn)?);
    }
    medians.sort_by(f64::total_cmp);
    let at = |share: f64| medians[(share * (RESAMPLES - 1) as f64).round() as usize];
    Some((at(0.025), at(0.975)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_that_of_the_ratios_and_not_the_ratio_of_medians() {
        // A slow machine in the second round slows both sides alike.
        let ratio = Ratio::of(&[(10.0, 20.0), (100.0, 200.0), (11.0, 20.0)]).expect("three pairs");
        assert_eq!((ratio.median, ratio.pairs), (0.5, 3));
    }

    #[test]
    fn the_interval_holds_the_median_and_stays_within_the_ratios() {
        let pairs: Vec<_> = [0.8, 0.9, 1.0, 1.1, 1.6].map(|ours| (ours, 1.0)).into();
        let ratio = Ratio::of(&pairs).expect("five pairs");
        assert!(ratio.low <= ratio.median && ratio.median <= ratio.high);
        assert!(ratio.low >= 0.8 && ratio.high <= 1.6);
        assert_eq!(Ratio::of(&pairs), Some(ratio));
    }

    #[test]
    fn equal_pairs_leave_no_doubt_and_no_pairs_say_nothing() {
        let ratio = Ratio::of(&[(3.0, 2.0); 5]).expect("five pairs");
        assert_eq!((ratio.low, ratio.high), (1.5, 1.5));
        assert_eq!(Ratio::of(&[]), None);
        assert_eq!(Ratio::of(&[(1.0, 0.0)]), None);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }
}

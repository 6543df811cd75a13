//! Which queue the next message goes to.

use std::str::FromStr;

use anyhow::{Result, bail};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spread {
    /// One queue after the other.
    #[default]
    Even,
    /// The k-th queue about 1/k as often as the first.
    Zipf,
}

impl FromStr for Spread {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Spread> {
        match text {
            "even" => Ok(Spread::Even),
            "zipf" => Ok(Spread::Zipf),
            _ => bail!("{text:?} is neither even nor zipf"),
        }
    }
}

/// Draws queues below a number, the same ones in every run.
#[derive(Debug)]
pub struct Lanes {
    spread: Spread,
    count: u32,
    next: u32,
    random: SmallRng,
}

impl Lanes {
    pub fn new(spread: Spread, count: u32) -> Lanes {
        Lanes {
            spread,
            count,
            next: 0,
            random: SmallRng::seed_from_u64(1),
        }
    }

    pub fn draw(&mut self) -> u32 {
        match self.spread {
            Spread::Even => {
                let lane = self.next;
                self.next = (lane + 1) % self.count;
                lane
            }
            // Uniform in the logarithm: density 1/k.
            Spread::Zipf => {
                let part = self.random.random_range(0.0..1.0_f64);
                let lane = f64::from(self.count + 1).powf(part) as u32 - 1;
                lane.min(self.count - 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_lanes_come_in_turn() {
        let mut lanes = Lanes::new(Spread::Even, 3);
        let drawn: Vec<_> = (0..4).map(|_| lanes.draw()).collect();
        assert_eq!(drawn, [0, 1, 2, 0]);
    }

    #[test]
    fn the_first_lane_is_by_far_the_busiest_and_none_is_out_of_range() {
        let mut lanes = Lanes::new(Spread::Zipf, 1_000);
        let drawn: Vec<_> = (0..10_000).map(|_| lanes.draw()).collect();
        let of = |lane| drawn.iter().filter(|drawn| **drawn == lane).count();
        assert!(of(0) > 5 * of(9) && of(0) > 500, "{} {}", of(0), of(9));
        assert!(drawn.iter().all(|lane| *lane < 1_000));
    }
}

//! RocketMQ's version numbers: one ordinal per release, with a snapshot just below each.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Version of a program, as the ordinal that travels in every header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Version(pub i32);

/// Names below 3.0.1, where the numbering was still irregular.
const EARLY: [&str; 16] = [
    "V3_0_0_SNAPSHOT",
    "V3_0_0_ALPHA1",
    "V3_0_0_BETA1",
    "V3_0_0_BETA2",
    "V3_0_0_BETA3",
    "V3_0_0_BETA4",
    "V3_0_0_BETA5",
    "V3_0_0_BETA6_SNAPSHOT",
    "V3_0_0_BETA6",
    "V3_0_0_BETA7_SNAPSHOT",
    "V3_0_0_BETA7",
    "V3_0_0_BETA8_SNAPSHOT",
    "V3_0_0_BETA8",
    "V3_0_0_BETA9_SNAPSHOT",
    "V3_0_0_BETA9",
    "V3_0_0_FINAL",
];

/// First number after 5.9.9: RocketMQ's table ends here.
const END: i32 = 612;

impl Version {
    /// The RocketMQ release we speak like.
    pub const CURRENT: Version = Version::V5_5_0;
    pub const V3_4_9: Version = Version(121);
    pub const V4_1_0_SNAPSHOT: Version = Version(232);
    pub const V4_9_3: Version = Version(399);
    pub const V4_9_4: Version = Version(401);
    pub const V5_0_0: Version = Version(413);
    pub const V5_3_1: Version = Version(475);
    pub const V5_5_0: Version = Version(513);
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0;
        if number < 0 {
            return write!(out, "UNKNOWN_VERSION({number})");
        }
        if number >= END {
            return write!(out, "HIGHER_VERSION");
        }
        if let Some(name) = usize::try_from(number).ok().and_then(|at| EARLY.get(at)) {
            return write!(out, "{name}");
        }
        let snapshot = if number % 2 == 0 { "_SNAPSHOT" } else { "" };
        let (major, minor, patch) = match number {
            ..=45 => (3, 0, (number - 16) / 2 + 1),
            46..=85 => (3, 1 + (number - 46) / 20, (number - 46) / 2 % 10),
            86..=211 => (3, 3 + (number - 86) / 18, (number - 86) / 2 % 9 + 1),
            _ => (
                4 + (number - 212) / 200,
                (number - 212) / 20 % 10,
                (number - 212) / 2 % 10,
            ),
        };
        write!(out, "V{major}_{minor}_{patch}{snapshot}")
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: i32, name: &str) {
        assert_eq!(Version(number).to_string(), name);
    }

    #[test]
    fn known_ordinals_have_the_names_rocketmq_prints() {
        check(0, "V3_0_0_SNAPSHOT");
        check(15, "V3_0_0_FINAL");
        check(16, "V3_0_1_SNAPSHOT");
        check(26, "V3_0_6_SNAPSHOT");
        check(37, "V3_0_11");
        check(45, "V3_0_15");
        check(46, "V3_1_0_SNAPSHOT");
        check(63, "V3_1_8");
        check(85, "V3_2_9");
        check(86, "V3_3_1_SNAPSHOT");
        check(103, "V3_3_9");
        check(104, "V3_4_1_SNAPSHOT");
        check(121, "V3_4_9");
        check(127, "V3_5_3");
        check(211, "V3_9_9");
        check(213, "V4_0_0");
        check(232, "V4_1_0_SNAPSHOT");
        check(233, "V4_1_0");
        check(273, "V4_3_0");
        check(317, "V4_5_2");
        check(355, "V4_7_1");
        check(399, "V4_9_3");
        check(401, "V4_9_4");
        check(413, "V5_0_0");
        check(441, "V5_1_4");
        check(453, "V5_2_0");
        check(475, "V5_3_1");
        check(481, "V5_3_4");
        check(513, "V5_5_0");
        check(611, "V5_9_9");
        check(612, "HIGHER_VERSION");
        check(i32::MAX, "HIGHER_VERSION");
        check(-1, "UNKNOWN_VERSION(-1)");
    }
}

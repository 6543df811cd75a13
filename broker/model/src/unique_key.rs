//! The id a producer gives a message before it sends it.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// A producer's message id, opaque to brokers. Ours have 32 hexadecimal digits, 56 with IPv6.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UniqueKey(String);

impl UniqueKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UniqueKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Makes the unique keys of one process.
///
/// Keys differ as long as address, process id and salt together belong to this process alone
/// and it makes no more than 65,536 of them in a millisecond.
#[derive(Debug)]
pub struct UniqueKeys {
    prefix: String,
    counter: AtomicU16,
}

impl UniqueKeys {
    /// `salt` tells apart several makers in one process; Java puts a class loader's hash here.
    pub fn new(ip: IpAddr, process: u32, salt: u32) -> Self {
        let ip = match ip {
            IpAddr::V4(ip) => format!("{:08X}", u32::from(ip)),
            IpAddr::V6(ip) => format!("{:032X}", u128::from(ip)),
        };
        Self {
            prefix: format!("{ip}{:04X}{salt:08X}", process & 0xFFFF),
            counter: AtomicU16::new(0),
        }
    }

    /// The next key, with the time since the month began (in UTC) in it, from which RocketMQ's
    /// tools guess when the message was sent.
    pub fn next(&self, now: Timestamp) -> UniqueKey {
        let since_month = now.0.wrapping_sub(month_start(now)) as u32;
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        UniqueKey(format!("{}{since_month:08X}{count:04X}", self.prefix))
    }
}

/// Midnight of the first day of the month, UTC, by counting days from 0000-03-01.
fn month_start(now: Timestamp) -> i64 {
    let days = now.0.div_euclid(DAY_MS);
    let from_march_zero = days + 719_468;
    let day_of_era = from_march_zero.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5;
    (days - day_of_month).wrapping_mul(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(now: i64, expected: i64) {
        assert_eq!(month_start(Timestamp(now)), expected, "{now}");
    }

    #[test]
    fn months_begin_on_their_first_day() {
        check(0, 0);
        check(1_700_000_000_000, 1_698_796_800_000);
        check(1_709_251_199_999, 1_706_745_600_000);
        check(1_709_251_200_000, 1_709_251_200_000);
        check(951_782_400_000, 949_363_200_000);
        check(-1, -2_678_400_000);
    }

    #[test]
    fn any_time_has_a_month() {
        for now in [i64::MIN, i64::MAX] {
            month_start(Timestamp(now));
        }
    }

    #[test]
    fn keys_are_made_of_address_process_salt_time_and_count() {
        let keys = UniqueKeys::new("127.0.0.1".parse().expect("an address"), 0x1_2345, 0xAB);
        let now = Timestamp(1_700_000_000_000);
        assert_eq!(keys.next(now).as_str(), "7F0000012345000000AB47B760000000");
        assert_eq!(keys.next(now).as_str(), "7F0000012345000000AB47B760000001");
        let keys = UniqueKeys::new("fd00::2".parse().expect("an address"), 1, 2);
        assert_eq!(keys.next(now).as_str().len(), 56);
    }
}

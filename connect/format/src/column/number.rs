//! Numbers from text: integers in range, decimals without a detour through floating point.

/// Reads a whole number. `12.0` and `1.2e1` are whole, `12.5` is not.
pub(super) fn integer(text: &str) -> Option<i128> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(i128::from(number));
    }
    decimal(text, 38, 0, Rounding::Refuse)
}

/// What happens to digits beyond the scale.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    /// They must be zeros.
    Refuse,
    /// Half up, away from zero, as SQL's DECIMAL does.
    HalfUp,
}

/// Reads a number in plain or scientific notation as units of `10^-scale`, if it has at most
/// `precision` digits of them.
pub(super) fn decimal(text: &str, precision: u8, scale: i8, rounding: Rounding) -> Option<i128> {
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut number: i128 = 0;
    let mut round_up = false;
    // Places still to be filled after the digit being read; below zero it is beyond the scale.
    let mut places = i64::try_from(whole.len()).ok()? + i64::from(exponent) + i64::from(scale);
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        places -= 1;
        let digit = i128::from(byte - b'0');
        if places >= 0 {
            number = number.checked_mul(10)?.checked_add(digit)?;
        } else {
            if rounding == Rounding::Refuse && digit != 0 {
                return None;
            }
            round_up |= places == -1 && digit >= 5;
        }
    }
    if number != 0 {
        for _ in 0..places {
            number = number.checked_mul(10)?;
        }
    }
    number += i128::from(round_up);
    if number >= 10_i128.pow(u32::from(precision)) {
        return None;
    }
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, precision: u8, scale: i8, expected: Option<i128>) {
        assert_eq!(
            decimal(text, precision, scale, Rounding::HalfUp),
            expected,
            "{text}"
        );
    }

    #[test]
    fn a_decimal_keeps_every_digit_of_its_scale() {
        check("12.345", 10, 3, Some(12_345));
        check("-0.001", 10, 3, Some(-1));
        check("7", 10, 3, Some(7_000));
        check("1.5e2", 10, 1, Some(1_500));
        check("15e-1", 10, 1, Some(15));
        check(
            "99999999999999999999999999999999999999",
            38,
            0,
            Some(10_i128.pow(38) - 1),
        );
    }

    #[test]
    fn digits_beyond_the_scale_are_rounded_half_up() {
        check("0.125", 10, 2, Some(13));
        check("-0.125", 10, 2, Some(-13));
        check("0.1249", 10, 2, Some(12));
        check("0.09", 10, 1, Some(1));
        check("0.009", 10, 1, Some(0));
    }

    #[test]
    fn too_many_digits_and_no_digits_are_refused() {
        check("1000", 3, 0, None);
        check("999.5", 3, 0, None);
        check("", 3, 0, None);
        check("-", 3, 0, None);
        check(".", 3, 0, None);
        check("1.2.3", 3, 0, None);
        check("1e99999999", 38, 0, None);
        check("0e99999999", 38, 0, Some(0));
    }

    #[test]
    fn an_integer_has_no_fraction() {
        assert_eq!(integer("12.0"), Some(12));
        assert_eq!(integer("1.2e1"), Some(12));
        assert_eq!(integer("12.5"), None);
        assert_eq!(integer("18446744073709551615"), Some(i128::from(u64::MAX)));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[-+0-9.eE]{0,50}", precision in 1_u8..=38, scale in 0_i8..=38) {
            decimal(&text, precision, scale, Rounding::HalfUp);
            integer(&text);
        }
    }
}

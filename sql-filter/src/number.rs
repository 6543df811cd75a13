//! Reads numbers as Java does: a property is compared with a number only if Java finds one in it.

/// A whole number: a sign or none, digits, nothing else.
pub(crate) fn int(text: &str) -> Option<i32> {
    text.parse().ok()
}

/// As [`int`], with 64 bits.
pub(crate) fn long(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A number with fraction and exponent, in decimal or hexadecimal digits, `NaN` or `Infinity`.
/// Characters up to the blank may stand around it, and a `d` or `f` behind its digits.
pub(crate) fn double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|character| character <= ' ');
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = match text {
        // One NaN for every sign, so that it always comes behind all other numbers.
        "NaN" => return Some(f64::NAN),
        "Infinity" => f64::INFINITY,
        _ => digits(text)?,
    };
    Some(if negative { -magnitude } else { magnitude })
}

fn digits(text: &str) -> Option<f64> {
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => hexadecimal(&text[2..]),
        // Rust would read words too, and a second sign.
        [b'0'..=b'9' | b'.', ..] => text.parse().ok(),
        _ => None,
    }
}

/// `digits.digits p exponent`, rounded once, to the nearest and then to even.
fn hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent = clamped(exponent)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // The value is bits * 2^scale; what falls off the end leaves a trace in the lowest bit.
    let mut bits = 0u64;
    let mut scale = exponent;
    for (digit, in_fraction) in whole
        .chars()
        .map(|digit| (digit, false))
        .chain(fraction.chars().map(|digit| (digit, true)))
    {
        let digit = u64::from(digit.to_digit(16)?);
        if bits >> 60 == 0 {
            bits = bits << 4 | digit;
            scale -= if in_fraction { 4 } else { 0 };
        } else {
            bits |= u64::from(digit != 0);
            scale += if in_fraction { 0 } else { 4 };
        }
    }
    Some(scaled(bits, scale))
}

/// A decimal exponent; beyond what a double can use its exact value does not matter.
fn clamped(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let magnitude = digits.parse::<i64>().unwrap_or(i64::MAX).min(1 << 40);
    Some(if text.starts_with('-') {
        -magnitude
    } else {
        magnitude
    })
}

/// `bits * 2^scale` as a double.
fn scaled(bits: u64, scale: i64) -> f64 {
    const SMALLEST_EXPONENT: i64 = -1074;
    if bits == 0 {
        return 0.0;
    }
    let shift = i64::from(bits.leading_zeros());
    let (bits, scale) = (bits << shift, scale - shift);
    if scale > 1024 {
        return f64::INFINITY;
    }
    // 11 bits more than a double holds, more still if it is too small for all of its own.
    let dropped = 11.max(SMALLEST_EXPONENT - scale);
    if dropped > 64 {
        return 0.0;
    }
    let wide = u128::from(bits);
    let kept = wide >> dropped;
    let rest = wide & ((1 << dropped) - 1);
    let half = 1u128 << (dropped - 1);
    let rounded = kept + u128::from(rest > half || (rest == half && kept & 1 == 1));
    power_of_two(rounded as u64, scale + dropped)
}

/// `mantissa * 2^exponent`, which is known to need no rounding unless it is too large.
fn power_of_two(mantissa: u64, exponent: i64) -> f64 {
    // In two steps, since 2^exponent alone may be no normal double.
    let first = exponent.clamp(-1000, 1000);
    let second = exponent - first;
    mantissa as f64 * 2f64.powi(first as i32) * 2f64.powi(second as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: f64) {
        let found = double(text).expect("a number");
        assert_eq!(found.to_bits(), expected.to_bits(), "{text} became {found}");
    }

    #[test]
    fn whole_numbers_have_a_sign_and_digits_only() {
        assert_eq!(int("+5"), Some(5));
        assert_eq!(int("-2147483648"), Some(i32::MIN));
        assert_eq!(long("007"), Some(7));
        for bad in ["", "+", "5 ", "5.0", "5L", "0x5", "2147483648", "--5"] {
            assert_eq!(int(bad), None, "{bad}");
        }
    }

    #[test]
    fn doubles_are_those_of_java() {
        check(" \u{1}5.5\n", 5.5);
        check("5.", 5.0);
        check(".5e1", 5.0);
        check("5d", 5.0);
        check("5e3F", 5000.0);
        check("-0", -0.0);
        check("1e400", f64::INFINITY);
        check("-Infinity", f64::NEG_INFINITY);
        check("-NaN", f64::NAN);
        for bad in [
            "",
            " ",
            "inf",
            "nan",
            "infinity",
            "5dd",
            "+-5",
            "5e",
            ".",
            "e5",
            "5 d",
            "Infinityd",
            "1_0",
            "\u{a0}5",
        ] {
            assert_eq!(double(bad), None, "{bad}");
        }
    }

    #[test]
    fn hexadecimal_doubles_are_rounded_once() {
        check("0x1p0", 1.0);
        check("0x1.8p1", 3.0);
        check("-0X.8P-1D", -0.25);
        check("0x10p-4", 1.0);
        check("0x1.fffffffffffffp1023", f64::MAX);
        check("0x1.fffffffffffff8p1023", f64::INFINITY);
        check("0x1p1024", f64::INFINITY);
        check("0x1p-1074", 5e-324);
        check("0x1p-1075", 0.0);
        check("0x1.8p-1075", 5e-324);
        check("0x1.00000000000008p0", 1.0);
        check("0x1.000000000000080000000000001p0", 1.000_000_000_000_000_2);
        check("0x1.00000000000018p0", 1.000_000_000_000_000_4);
        check("0x0.0000000000000000000000001p100", 1.0);
        check("0x1000000000000000000000000p-96", 1.0);
        check("0x0p99999999999999999999", 0.0);
        check("0x1p99999999999999999999", f64::INFINITY);
        check("0x1p-99999999999999999999", 0.0);
        for bad in [
            "0x",
            "0x1",
            "0xp1",
            "0x.p1",
            "0x1p",
            "0x1p+",
            "0xgp1",
            "0x1.2.3p1",
            "0x+1p1",
        ] {
            assert_eq!(double(bad), None, "{bad}");
        }
    }
}

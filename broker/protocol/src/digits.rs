//! Integers as decimal text, without an allocation.

/// Decimal text of one integer.
pub(crate) struct Digits {
    text: [u8; 20],
    start: usize,
}

impl Digits {
    pub(crate) fn of(number: impl Into<i64>) -> Digits {
        let number: i64 = number.into();
        let mut text = [0; 20];
        let mut start = text.len();
        let mut rest = number.unsigned_abs();
        loop {
            start -= 1;
            text[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if number < 0 {
            start -= 1;
            text[start] = b'-';
        }
        Digits { text, start }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text[self.start..]
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("digits are ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_what_the_standard_library_prints() {
        for number in [0, 7, -1, 10, 1_795_361_320_735, i64::MAX, i64::MIN] {
            assert_eq!(Digits::of(number).as_str(), number.to_string());
        }
    }
}

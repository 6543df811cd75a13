//! Integers as decimal text, without an allocation.

/// Decimal text of one integer.
pub(crate) struct Digits {
    text: [u8; 20],
    start: usize,
}

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + number as u8 / 10, b'0' + number as u8 % 10];
        number += 1;
    }
    pairs
};

impl Digits {
    pub(crate) fn of(number: impl Into<i64>) -> Digits {
        let number: i64 = number.into();
        let mut text = [0; 20];
        let mut start = text.len();
        let mut rest = number.unsigned_abs();
        while rest >= 100 {
            start -= 2;
            text[start..start + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
            rest /= 100;
        }
        if rest >= 10 {
            start -= 2;
            text[start..start + 2].copy_from_slice(&PAIRS[rest as usize]);
        } else {
            start -= 1;
            text[start] = b'0' + rest as u8;
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
        for number in [
            0,
            7,
            -1,
            10,
            99,
            100,
            101,
            -1234,
            1_795_361_320_735,
            i64::MAX,
            i64::MIN,
        ] {
            assert_eq!(Digits::of(number).as_str(), number.to_string());
        }
    }
}

//! Damages real frames, so that most of what they say stays true.

use protocol::{FRAME_LIMIT, HEADER_LIMIT};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

/// Numbers that lengths and counts break at.
const NUMBERS: [u32; 12] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    HEADER_LIMIT as u32,
    FRAME_LIMIT as u32,
    0x7fff_ffff,
    0xffff_ffff,
];

/// Text that decoders look for.
const WORDS: [&str; 22] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "'",
    "\\",
    "\\u",
    "\\ud83e",
    "null",
    "true",
    "-1",
    "1e9",
    "9223372036854775808",
    "\"code\":",
    "\"extFields\":{",
    "{{",
    "\u{1}",
    "\u{2}",
    "é",
];

/// Makes damaged frames from real ones, the same ones for the same seed.
pub struct Damage<'f> {
    frames: &'f [Vec<u8>],
    rng: TestRng,
}

impl<'f> Damage<'f> {
    pub fn new(frames: &'f [Vec<u8>], seed: u64) -> Damage<'f> {
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Damage {
            frames,
            rng: TestRng::from_seed(RngAlgorithm::XorShift, &bytes),
        }
    }

    /// A frame with one to four changes. Three in four keep lengths that are true, or no
    /// change would reach what lies behind the first check.
    pub fn next(&mut self) -> Vec<u8> {
        let mut frame = self.frame().to_vec();
        let changes = 1 + self.below(4);
        if self.below(4) == 0 {
            (0..changes).for_each(|_| self.change(&mut frame));
            return frame;
        }
        let header_length = u32::from_be_bytes([0, frame[5], frame[6], frame[7]]) as usize;
        let mut body = frame.split_off(8 + header_length);
        let mut header = frame.split_off(8);
        for _ in 0..changes {
            if body.is_empty() || self.below(3) > 0 {
                self.change(&mut header);
            } else {
                self.change(&mut body);
            }
        }
        let length = (4 + header.len() + body.len()) as u32;
        let mark = u32::from(frame[4]) << 24 | header.len() as u32;
        [
            &length.to_be_bytes(),
            &mark.to_be_bytes(),
            &header[..],
            &body[..],
        ]
        .concat()
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let length = self.below(bytes.len() - at + 1).min(1 << self.below(9));
        match self.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 => {
                let number = NUMBERS[self.below(NUMBERS.len())].to_be_bytes();
                let width = [1, 2, 4][self.below(3)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&number[4 - width..]);
            }
            2 => {
                let word = WORDS[self.below(WORDS.len())];
                bytes.splice(at..at, word.bytes());
            }
            3 => drop(bytes.drain(at..at + length)),
            4 => bytes.extend_from_within(at..at + length),
            5 => {
                let other = self.frame();
                let from = self.below(other.len());
                let part = &other[from..other.len().min(from + length)];
                bytes.splice(
                    at..at + part.len().min(bytes.len() - at),
                    part.iter().copied(),
                );
            }
            _ => bytes.truncate(at),
        }
    }

    fn frame(&mut self) -> &'f [u8] {
        let number = self.below(self.frames.len());
        &self.frames[number]
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.rng.next_u64() % limit as u64) as usize
    }
}

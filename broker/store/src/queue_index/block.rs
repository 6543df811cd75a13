//! 128 entries of one queue as they lie in the index log.
//!
//! ```text
//! magic 4 | bytes 4 | crc 4 | flags 2 | entries 2 | links 2 | 0 2 | number 4
//! base 8 | first stored 8 | links × (position 8, base 8, first stored 8)
//! entries × (log offset 8, size 4, tags code 8) | entries × count 4, if flagged
//! ```
//! A block links back to the newest block before it whose number is a multiple of 1, 8, 64 …
//! so that any offset of a long queue is found in a few dozen hops and nothing but the last
//! block has to be remembered per queue.

use std::io;

use runtime::File;

use super::entry::{Run, Unit};

pub(crate) const BLOCK_ENTRIES: usize = 128;
/// Levels of back links; the highest spans 8^7 blocks.
pub(crate) const LEVELS: usize = 8;
/// Bytes of the largest block: reading this many from a block's position gets all of it.
pub(crate) const BLOCK_LIMIT: usize = HEADER + LEVELS * LINK + BLOCK_ENTRIES * (UNIT + COUNT);

const MAGIC: u32 = 0x4D53_5142;
const FLAG_COUNTS: u16 = 1;
const HEADER: usize = 40;
const LINK: usize = 24;
const UNIT: usize = 20;
const COUNT: usize = 4;
/// Where the bytes begin that the checksum covers.
const COVERED: usize = 12;

/// Where an earlier block of the same queue lies, and what it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub position: u64,
    pub base: u64,
    pub first_stored: i64,
}

/// The links that the next block of a queue will carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spine {
    /// How many blocks the queue has: the number of the next one.
    pub blocks: u32,
    /// Per level the newest block whose number is a multiple of 8^level.
    pub links: Vec<Link>,
}

impl Spine {
    /// Notes the block that was just written.
    pub(crate) fn push(&mut self, link: Link) {
        let number = self.blocks;
        for level in 0..LEVELS {
            if !number.is_multiple_of(1 << (3 * level)) {
                break;
            }
            match self.links.get_mut(level) {
                Some(place) => *place = link,
                // The first block is every level's, but the nearest link is enough to reach it.
                None if level > 0 && number == 0 => break,
                None => self.links.push(link),
            }
        }
        self.blocks += 1;
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub number: u32,
    pub first_stored: i64,
    pub links: Vec<Link>,
    pub run: Run,
}

impl Block {
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        let start = into.len();
        let counted = self.run.units.iter().any(|unit| unit.count != 1);
        let flags = if counted { FLAG_COUNTS } else { 0 };
        into.extend_from_slice(&MAGIC.to_be_bytes());
        into.extend_from_slice(&[0; 8]);
        into.extend_from_slice(&flags.to_be_bytes());
        into.extend_from_slice(&(self.run.units.len() as u16).to_be_bytes());
        into.extend_from_slice(&(self.links.len() as u16).to_be_bytes());
        into.extend_from_slice(&[0; 2]);
        into.extend_from_slice(&self.number.to_be_bytes());
        into.extend_from_slice(&self.run.base.to_be_bytes());
        into.extend_from_slice(&self.first_stored.to_be_bytes());
        for link in &self.links {
            into.extend_from_slice(&link.position.to_be_bytes());
            into.extend_from_slice(&link.base.to_be_bytes());
            into.extend_from_slice(&link.first_stored.to_be_bytes());
        }
        for unit in &self.run.units {
            into.extend_from_slice(&unit.log_offset.to_be_bytes());
            into.extend_from_slice(&unit.size.to_be_bytes());
            into.extend_from_slice(&unit.tags_code.to_be_bytes());
        }
        if counted {
            for unit in &self.run.units {
                into.extend_from_slice(&unit.count.to_be_bytes());
            }
        }
        let bytes = (into.len() - start) as u32;
        into[start + 4..start + 8].copy_from_slice(&bytes.to_be_bytes());
        let crc = crc32fast::hash(&into[start + COVERED..]);
        into[start + 8..start + 12].copy_from_slice(&crc.to_be_bytes());
    }

    /// Reads the block at the front of `bytes`, which may go on behind it. `None` if that is
    /// not a block, or not all of one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Block> {
        let mut fields = Fields { rest: bytes };
        if fields.u32()? != MAGIC {
            return None;
        }
        let length = fields.u32()? as usize;
        let crc = fields.u32()?;
        let block = bytes.get(..length)?;
        if !(HEADER..=BLOCK_LIMIT).contains(&length) || crc32fast::hash(&block[COVERED..]) != crc {
            return None;
        }
        let flags = fields.u16()?;
        let entries = usize::from(fields.u16()?);
        let links = usize::from(fields.u16()?);
        fields.u16()?;
        let unit = if flags & FLAG_COUNTS == 0 {
            UNIT
        } else {
            UNIT + COUNT
        };
        if HEADER + links * LINK + entries * unit != length {
            return None;
        }
        let number = fields.u32()?;
        let base = fields.u64()?;
        let first_stored = fields.u64()? as i64;
        let mut read_links = Vec::with_capacity(links);
        for _ in 0..links {
            read_links.push(Link {
                position: fields.u64()?,
                base: fields.u64()?,
                first_stored: fields.u64()? as i64,
            });
        }
        let mut units = Vec::with_capacity(entries);
        for _ in 0..entries {
            units.push(Unit {
                log_offset: fields.u64()?,
                size: fields.u32()?,
                tags_code: fields.u64()? as i64,
                count: 1,
            });
        }
        if flags & FLAG_COUNTS != 0 {
            for unit in &mut units {
                unit.count = fields.u32()?;
            }
        }
        Some(Block {
            number,
            first_stored,
            links: read_links,
            run: Run {
                base,
                units: units.into(),
            },
        })
    }

    /// The block at `at` in a file, if there is one. May wait for the disk.
    pub(crate) fn read_from(file: &dyn File, at: u64) -> io::Result<Option<Block>> {
        let mut bytes = vec![0; BLOCK_LIMIT];
        let mut filled = 0;
        while filled < bytes.len() {
            let read = file.pread(&mut bytes[filled..], at + filled as u64)?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        Ok(Self::decode(&bytes[..filled]))
    }

    /// The block one hop back from here on the way to the newest block that satisfies
    /// `reaches`, which every block older than a satisfying one satisfies as well.
    pub(crate) fn hop(&self, reaches: impl Fn(&Link) -> bool) -> Option<Link> {
        hop(&self.links, reaches)
    }
}

/// Of links ordered from near to far: the farthest that does not reach yet, else the nearest.
pub(crate) fn hop(links: &[Link], reaches: impl Fn(&Link) -> bool) -> Option<Link> {
    let short = links.iter().rev().find(|link| !reaches(link));
    short.or(links.first()).copied()
}

/// Takes big-endian numbers off the front of a slice.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(counts: &[u32]) -> Block {
        let units = counts
            .iter()
            .enumerate()
            .map(|(index, count)| Unit {
                log_offset: 1_000 + index as u64,
                tags_code: -5,
                size: 77,
                count: *count,
            })
            .collect();
        Block {
            number: 9,
            first_stored: -3,
            links: vec![Link {
                position: 4,
                base: 2,
                first_stored: 1,
            }],
            run: Run { base: 40, units },
        }
    }

    #[test]
    fn a_block_reads_back_as_it_was_written() {
        for counts in [&[1, 1, 1][..], &[1, 5, 2], &[]] {
            let block = block(counts);
            let mut bytes = Vec::new();
            block.encode(&mut bytes);
            bytes.extend_from_slice(b"what follows");
            assert_eq!(Block::decode(&bytes), Some(block));
        }
    }

    #[test]
    fn no_flipped_bit_passes() {
        let mut bytes = Vec::new();
        block(&[1, 2]).encode(&mut bytes);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Block::decode(&bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert!((0..bytes.len()).all(|length| Block::decode(&bytes[..length]).is_none()));
    }

    #[test]
    fn a_full_block_stays_within_the_limit() {
        let mut full = block(&[3; BLOCK_ENTRIES]);
        full.links = vec![
            Link {
                position: 0,
                base: 0,
                first_stored: 0
            };
            LEVELS
        ];
        let mut bytes = Vec::new();
        full.encode(&mut bytes);
        assert_eq!(bytes.len(), BLOCK_LIMIT);
    }

    #[test]
    fn any_block_is_found_in_few_hops() {
        let mut spine = Spine::default();
        let mut links_of = Vec::new();
        for number in 0..5_000u64 {
            links_of.push(spine.links.clone());
            spine.push(Link {
                position: number,
                base: number * 10,
                first_stored: 0,
            });
        }
        for wanted in 0..50_000u64 {
            let mut hops = 0;
            let mut links = &spine.links;
            loop {
                let next = hop(links, |link| link.base <= wanted).expect("an older block");
                hops += 1;
                links = &links_of[next.position as usize];
                if next.base <= wanted {
                    assert_eq!(next.position, wanted / 10);
                    break;
                }
            }
            assert!(hops <= 45, "{hops} hops to {wanted}");
        }
    }
}

//! The id a broker gives a stored message: its own address and the place in its log.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::{LogOffset, NameError};

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
/// Bytes of the longest id: address, port in four bytes, offset.
const BYTES_V6: usize = 16 + 4 + 8;

/// Names one record of one broker. Written as 32 upper-case hexadecimal digits, 56 with IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId {
    pub store_host: SocketAddr,
    pub log_offset: LogOffset,
}

impl MessageId {
    /// Reads either length, in either case of letters.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        read(text).ok_or_else(|| NameError::NotAMessageId {
            text: text.chars().take(64).collect(),
        })
    }

    /// The id as it is written, without an allocation.
    pub fn text(&self) -> MessageIdText {
        let mut bytes = [0; BYTES_V6];
        let ip = match self.store_host.ip() {
            IpAddr::V4(ip) => put(&mut bytes, 0, &ip.octets()),
            IpAddr::V6(ip) => put(&mut bytes, 0, &ip.octets()),
        };
        let port = u32::from(self.store_host.port()).to_be_bytes();
        let port = put(&mut bytes, ip, &port);
        let end = put(&mut bytes, port, &self.log_offset.0.to_be_bytes());
        // Every reply to a send carries one: number formatting by the library costs ten times as much.
        let mut digits = [0; 2 * BYTES_V6];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(&bytes[..end]) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        MessageIdText {
            digits,
            length: 2 * end,
        }
    }
}

/// A message id as text.
#[derive(Clone, Copy, Debug)]
pub struct MessageIdText {
    digits: [u8; 2 * BYTES_V6],
    length: usize,
}

impl MessageIdText {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.length]).expect("hexadecimal digits are ASCII")
    }
}

fn read(text: &str) -> Option<MessageId> {
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let (ip, rest) = match text.len() {
        32 => {
            let (ip, rest) = text.split_at(8);
            (
                IpAddr::from(u32::from_str_radix(ip, 16).ok()?.to_be_bytes()),
                rest,
            )
        }
        56 => {
            let (ip, rest) = text.split_at(32);
            (
                IpAddr::from(u128::from_str_radix(ip, 16).ok()?.to_be_bytes()),
                rest,
            )
        }
        _ => return None,
    };
    let (port, offset) = rest.split_at(8);
    let port = u16::try_from(u32::from_str_radix(port, 16).ok()?).ok()?;
    Some(MessageId {
        store_host: SocketAddr::new(ip, port),
        log_offset: LogOffset(u64::from_str_radix(offset, 16).ok()?),
    })
}

impl FromStr for MessageId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text().as_str())
    }
}

/// Puts `part` at `at`; where the next one goes.
fn put(bytes: &mut [u8], at: usize, part: &[u8]) -> usize {
    let end = at + part.len();
    bytes[at..end].copy_from_slice(part);
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_and_read_as_by_rocketmq() {
        let id = MessageId {
            store_host: "127.0.0.1:10911".parse().expect("an address"),
            log_offset: LogOffset(4096),
        };
        assert_eq!(id.to_string(), "7F00000100002A9F0000000000001000");
        assert_eq!(MessageId::parse("7f00000100002a9f0000000000001000"), Ok(id));
    }

    #[test]
    fn an_ipv6_broker_has_longer_ids() {
        let id = MessageId {
            store_host: "[fd00::2]:10911".parse().expect("an address"),
            log_offset: LogOffset(u64::MAX),
        };
        assert_eq!(id.to_string().len(), 56);
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn other_texts_are_refused() {
        let long = "7F".repeat(500);
        let big_port = "7F000001000100000000000000001000";
        for text in [
            "",
            "7F",
            "+F00000100002A9F0000000000001000",
            big_port,
            &long,
            "ä".repeat(16).as_str(),
        ] {
            assert!(MessageId::parse(text).is_err(), "{text}");
        }
    }
}

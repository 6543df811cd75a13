//! From what a Rust compiler leaves to a component.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wit_component::ComponentEncoder;

use crate::Error;

/// Turns a core module that carries its WIT world in custom sections, as `cargo build` leaves
/// it, into a component. Everything else is answered as it came.
pub fn to_component(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    if !carries_world(bytes) {
        return Ok(bytes.to_vec());
    }
    // The encoder is made for what compilers write; on a module that only looks like that it
    // may hit an assertion of its own, which must not take the process along.
    let encoded = catch_unwind(AssertUnwindSafe(|| {
        let mut encoder = ComponentEncoder::default().validate(true).module(bytes)?;
        encoder.encode()
    }));
    match encoded {
        Ok(Ok(component)) => Ok(component),
        Ok(Err(error)) => Err(Error::Malformed(format!("{error:#}"))),
        Err(_) => Err(Error::Malformed("its WIT world cannot be read".to_owned())),
    }
}

/// The first bytes of every core module: magic and version.
const CORE_PREAMBLE: &[u8] = b"\0asm\x01\0\0\0";
const CUSTOM: u8 = 0;

/// Whether this is a core module with a `component-type` section.
pub(crate) fn carries_world(bytes: &[u8]) -> bool {
    let Some(mut rest) = bytes.strip_prefix(CORE_PREAMBLE) else {
        return false;
    };
    while let Some((id, section, next)) = section(rest) {
        if id == CUSTOM
            && let Some((name, _)) = sized(section)
            && name.starts_with(b"component-type")
        {
            return true;
        }
        rest = next;
    }
    false
}

/// The first section's number and contents, and what follows it.
fn section(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (id, rest) = bytes.split_first()?;
    let (section, next) = sized(rest)?;
    Some((*id, section, next))
}

/// Bytes with their length before them (LEB128), and what follows.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0u64;
    for (place, byte) in bytes.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let length = usize::try_from(length).ok()?;
            return bytes[place + 1..].split_at_checked(length);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_is_found_behind_other_sections() {
        let mut module = CORE_PREAMBLE.to_vec();
        module.extend([CUSTOM, 6, 4]);
        module.extend(b"nameX");
        assert!(!carries_world(&module));
        module.extend([CUSTOM, 0x90, 0x00, 15]);
        module.extend(b"component-type:");
        assert!(carries_world(&module));
    }

    #[test]
    fn a_section_longer_than_the_file_is_no_world() {
        let mut module = CORE_PREAMBLE.to_vec();
        module.extend([CUSTOM, 0xff, 0xff, 0xff, 0xff, 0x7f, 14]);
        module.extend(b"component-type");
        assert!(!carries_world(&module));
    }
}

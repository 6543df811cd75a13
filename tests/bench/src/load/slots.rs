//! Requests under way on one connection: as many as may be, each in a slot of its own.

/// One request that was sent and not answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// When it was due and when it was written, in ns.
    pub intended: u64,
    pub written: u64,
    /// Number of its first message.
    pub first: u64,
}

#[derive(Clone, Debug)]
pub struct Slots {
    sent: Vec<Option<Sent>>,
    free: Vec<u32>,
}

impl Slots {
    pub fn new(depth: u32) -> Slots {
        Slots {
            sent: vec![None; depth as usize],
            free: (0..depth).rev().collect(),
        }
    }

    /// Takes a place; `None` if all are taken.
    pub fn enter(&mut self, sent: Sent) -> Option<u32> {
        let slot = self.free.pop()?;
        self.sent[slot as usize] = Some(sent);
        Some(slot)
    }

    /// Gives a place back; `None` if nobody had it.
    pub fn leave(&mut self, slot: u32) -> Option<Sent> {
        let sent = self.sent.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some(sent)
    }

    pub fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    pub fn under_way(&self) -> usize {
        self.sent.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_taken_and_given_back_once() {
        let mut slots = Slots::new(2);
        let sent = |first| Sent {
            first,
            ..Sent::default()
        };
        let one = slots.enter(sent(1)).expect("two are free");
        slots.enter(sent(2)).expect("one is free");
        assert!(slots.is_full() && slots.enter(sent(3)).is_none());
        assert_eq!(slots.leave(one), Some(sent(1)));
        assert_eq!((slots.leave(one), slots.leave(99)), (None, None));
        assert_eq!(slots.under_way(), 1);
    }
}

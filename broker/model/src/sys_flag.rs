//! The bits by which a record says how to read it.

/// Flag word of a message that clients and brokers set, not users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SysFlag(pub i32);

/// Where a message stands in its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionState {
    None,
    Prepared,
    Committed,
    RolledBack,
}

/// How a compressed body was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    Zlib,
    Lz4,
    Zstd,
}

impl SysFlag {
    /// The body is compressed.
    pub const COMPRESSED: i32 = 0x1;
    /// The tags property holds several tags.
    pub const MULTI_TAGS: i32 = 0x2;
    pub const TRANSACTION_PREPARED: i32 = 0x4;
    pub const TRANSACTION_COMMITTED: i32 = 0x8;
    pub const TRANSACTION_ROLLED_BACK: i32 = 0xC;
    /// The record's born host is an IPv6 address.
    pub const BORN_HOST_V6: i32 = 0x10;
    /// The record's store host is an IPv6 address.
    pub const STORE_HOST_V6: i32 = 0x20;
    /// The consumer has to unwrap the body.
    pub const NEED_UNWRAP: i32 = 0x40;
    /// The body is a batch stored as one record.
    pub const INNER_BATCH: i32 = 0x80;

    const TRANSACTION: i32 = 0xC;
    const COMPRESSION: i32 = 0x700;

    pub fn is_compressed(self) -> bool {
        self.has(Self::COMPRESSED)
    }

    pub fn has_multi_tags(self) -> bool {
        self.has(Self::MULTI_TAGS)
    }

    pub fn is_inner_batch(self) -> bool {
        self.has(Self::INNER_BATCH)
    }

    pub fn needs_unwrap(self) -> bool {
        self.has(Self::NEED_UNWRAP)
    }

    pub fn transaction(self) -> TransactionState {
        match self.0 & Self::TRANSACTION {
            Self::TRANSACTION_PREPARED => TransactionState::Prepared,
            Self::TRANSACTION_COMMITTED => TransactionState::Committed,
            Self::TRANSACTION_ROLLED_BACK => TransactionState::RolledBack,
            _ => TransactionState::None,
        }
    }

    #[must_use]
    pub fn with_transaction(self, state: TransactionState) -> Self {
        let bits = match state {
            TransactionState::None => 0,
            TransactionState::Prepared => Self::TRANSACTION_PREPARED,
            TransactionState::Committed => Self::TRANSACTION_COMMITTED,
            TransactionState::RolledBack => Self::TRANSACTION_ROLLED_BACK,
        };
        Self(self.0 & !Self::TRANSACTION | bits)
    }

    /// The algorithm of the body, `None` when it is plain or the algorithm is unknown.
    pub fn compression(self) -> Option<Compression> {
        if !self.is_compressed() {
            return None;
        }
        match (self.0 & Self::COMPRESSION) >> 8 {
            0 | 3 => Some(Compression::Zlib),
            1 => Some(Compression::Lz4),
            2 => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// Marks the body as compressed, or as plain. Zlib is written as 3, as by 5.x clients.
    #[must_use]
    pub fn with_compression(self, compression: Option<Compression>) -> Self {
        let bits = match compression {
            None => 0,
            Some(Compression::Lz4) => 0x100 | Self::COMPRESSED,
            Some(Compression::Zstd) => 0x200 | Self::COMPRESSED,
            Some(Compression::Zlib) => 0x300 | Self::COMPRESSED,
        };
        Self(self.0 & !(Self::COMPRESSION | Self::COMPRESSED) | bits)
    }

    /// Sets or clears the given bits.
    #[must_use]
    pub fn with(self, bits: i32, set: bool) -> Self {
        Self(if set { self.0 | bits } else { self.0 & !bits })
    }

    fn has(self, bits: i32) -> bool {
        self.0 & bits != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_states_replace_each_other_and_leave_the_rest() {
        let flag = SysFlag(0x301).with_transaction(TransactionState::Prepared);
        assert_eq!(flag, SysFlag(0x305));
        let flag = flag.with_transaction(TransactionState::RolledBack);
        assert_eq!(flag.transaction(), TransactionState::RolledBack);
        let flag = flag.with_transaction(TransactionState::None);
        assert_eq!(flag, SysFlag(0x301));
    }

    #[test]
    fn compression_is_read_from_old_and_new_bits() {
        assert_eq!(SysFlag(0x300).compression(), None);
        assert_eq!(SysFlag(0x1).compression(), Some(Compression::Zlib));
        assert_eq!(SysFlag(0x301).compression(), Some(Compression::Zlib));
        assert_eq!(SysFlag(0x101).compression(), Some(Compression::Lz4));
        assert_eq!(SysFlag(0x201).compression(), Some(Compression::Zstd));
        assert_eq!(SysFlag(0x701).compression(), None);
        assert_eq!(
            SysFlag(0x2).with_compression(Some(Compression::Lz4)),
            SysFlag(0x103)
        );
        assert_eq!(SysFlag(0x103).with_compression(None), SysFlag(0x2));
    }
}

//! What the indexes learn from a record, whether it was just written or is read again.

use model::properties::{INNER_MULTI_QUEUE_OFFSET, Notes};
use model::record::RecordView;
use model::{
    PropertiesView, QueueId, SysFlag, Topic, TransactionState, index_keys_of, system_topics,
    tags_code,
};
use smallvec::SmallVec;

use crate::Settings;

/// Records of this topic name a topic all of whose earlier records no longer count.
pub(crate) const TOMBSTONES: &str = "rmq_sys_TOMBSTONE";
/// What separates the names and the offsets of lite queues.
const SEPARATOR: char = ',';

pub(crate) type KeyHashes = SmallVec<[u32; 4]>;

/// Which entries a record gets.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    /// The queue it was sent to.
    pub queue: QueueId,
    /// Whether that queue shows it: not so with a prepared or rolled-back one.
    pub is_shown: bool,
    /// Offsets it takes there.
    pub count: u32,
    /// Whether it holds several messages itself.
    pub inner_batch: bool,
    pub tags: Tags,
    /// Further queues that show the same record.
    pub lite: Vec<QueueId>,
    pub keys: KeyHashes,
    /// Whether its sender waits for the flush.
    pub waits: bool,
}

/// What the entry tells filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    Code(i64),
    /// The record waits for a delay level: its entry tells when it is due.
    Level(i64),
}

impl Tags {
    pub(crate) fn code(self, settings: &Settings, stored: i64) -> i64 {
        match self {
            Self::Code(code) => code,
            Self::Level(level) => settings.due(level, stored).unwrap_or(stored),
        }
    }
}

impl Dispatch {
    /// What a stored record of this topic gets.
    pub(crate) fn of_stored(topic: &Topic, record: &RecordView<'_>) -> Self {
        let queue = QueueId::new(topic.clone(), record.queue);
        Self::of(queue, record.sys_flag, &Notes::of(record.properties))
    }

    pub(crate) fn of(queue: QueueId, sys_flag: SysFlag, notes: &Notes<'_>) -> Self {
        let transaction = sys_flag.transaction();
        let hidden = matches!(
            transaction,
            TransactionState::Prepared | TransactionState::RolledBack
        );
        let mut keys = KeyHashes::new();
        if transaction != TransactionState::RolledBack {
            for key in index_keys_of(notes.unique, notes.keys, notes.tags) {
                keys.push(key.hash_in(&queue.topic));
            }
        }
        Self {
            count: messages(sys_flag, notes.inner_number),
            inner_batch: sys_flag.is_inner_batch(),
            tags: tags(&queue.topic, notes.delay, notes.tags),
            lite: match notes.multi_dispatch {
                Some(names) if !hidden => lite_queues(&queue, names),
                _ => Vec::new(),
            },
            is_shown: !hidden,
            queue,
            keys,
            waits: notes.wait != Some("false"),
        }
    }

    /// Its own queue, if that shows it.
    pub(crate) fn shown(&self) -> Option<&QueueId> {
        self.is_shown.then_some(&self.queue)
    }
}

/// Offsets that the record's lite queues gave it, as it tells itself.
pub(crate) fn lite_offsets(properties: PropertiesView<'_>) -> Vec<u64> {
    let offsets = properties.get(INNER_MULTI_QUEUE_OFFSET).unwrap_or_default();
    offsets
        .split(SEPARATOR)
        .map_while(|offset| offset.parse().ok())
        .collect()
}

/// The property that tells them.
pub(crate) fn lite_offsets_text(offsets: &[u64]) -> String {
    let offsets: Vec<String> = offsets.iter().map(u64::to_string).collect();
    offsets.join(&SEPARATOR.to_string())
}

fn messages(sys_flag: SysFlag, number: Option<&str>) -> u32 {
    if !sys_flag.is_inner_batch() {
        return 1;
    }
    number
        .and_then(|number| number.parse().ok())
        .filter(|number| (1..=i32::MAX as u32).contains(number))
        .unwrap_or(1)
}

fn tags(topic: &Topic, level: Option<&str>, tag: Option<&str>) -> Tags {
    if topic.as_str() == system_topics::SCHEDULE {
        let level = level.and_then(|level| level.parse().ok());
        if let Some(level) = level.filter(|level| *level > 0) {
            return Tags::Level(level);
        }
    }
    Tags::Code(tags_code(tag))
}

/// Copies of a record in topics of the broker's own keep its properties, but not its queues.
fn lite_queues(queue: &QueueId, names: &str) -> Vec<QueueId> {
    if queue.topic.is_retry() || queue.topic.is_system() {
        return Vec::new();
    }
    names
        .split(SEPARATOR)
        .filter_map(|name| Topic::stored(name).ok())
        .map(|topic| {
            let number = if topic.is_lite() { 0 } else { queue.number };
            QueueId::new(topic, number)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use model::Properties;
    use model::properties::{DELAY, INNER_MULTI_DISPATCH, INNER_NUMBER, TAGS};

    use super::*;

    fn of(topic: &str, sys_flag: i32, properties: &[(&str, &str)]) -> Dispatch {
        let queue = QueueId::new(Topic::parse(topic).expect("a topic"), 3);
        let properties: Properties = properties.iter().copied().collect();
        Dispatch::of(queue, SysFlag(sys_flag), &Notes::of(properties.view()))
    }

    #[test]
    fn prepared_and_rolled_back_records_are_in_no_queue() {
        assert_eq!(of("t", SysFlag::TRANSACTION_PREPARED, &[]).shown(), None);
        assert_eq!(of("t", SysFlag::TRANSACTION_ROLLED_BACK, &[]).shown(), None);
        assert!(
            of("t", SysFlag::TRANSACTION_COMMITTED, &[])
                .shown()
                .is_some()
        );
        assert!(
            of(system_topics::TRANSACTION_HALF, 0, &[])
                .shown()
                .is_some()
        );
    }

    #[test]
    fn rolled_back_records_are_not_found_by_key() {
        let keys = [(model::properties::KEYS, "a b")];
        assert_eq!(of("t", SysFlag::TRANSACTION_PREPARED, &keys).keys.len(), 2);
        assert_eq!(
            of("t", SysFlag::TRANSACTION_ROLLED_BACK, &keys).keys.len(),
            0
        );
    }

    #[test]
    fn an_inner_batch_takes_as_many_offsets_as_it_has_messages() {
        let number = [(INNER_NUMBER, "5")];
        assert_eq!(of("t", SysFlag::INNER_BATCH, &number).count, 5);
        assert_eq!(of("t", 0, &number).count, 1);
        for odd in ["0", "-1", "many"] {
            let number = [(INNER_NUMBER, odd)];
            assert_eq!(of("t", SysFlag::INNER_BATCH, &number).count, 1, "{odd}");
        }
    }

    #[test]
    fn a_waiting_record_tells_when_it_is_due() {
        let settings = Settings::default();
        let level = [(DELAY, "2"), (TAGS, "a")];
        let waiting = of(system_topics::SCHEDULE, 0, &level);
        assert_eq!(waiting.tags.code(&settings, 1_000), 6_000);
        assert_eq!(of("t", 0, &level).tags, Tags::Code(97));
    }

    #[test]
    fn lite_queues_have_number_zero_and_copies_keep_out_of_them() {
        let names = [(INNER_MULTI_DISPATCH, "%LMQ%a,%LMQ%b")];
        let names_of = |dispatch: Dispatch| -> Vec<String> {
            dispatch.lite.iter().map(ToString::to_string).collect()
        };
        assert_eq!(names_of(of("t", 0, &names)), ["%LMQ%a:0", "%LMQ%b:0"]);
        assert!(of("%RETRY%g", 0, &names).lite.is_empty());
        assert!(of(system_topics::SCHEDULE, 0, &names).lite.is_empty());
    }

    #[test]
    fn lite_offsets_read_back() {
        let mut properties = Properties::new();
        properties.set(INNER_MULTI_QUEUE_OFFSET, lite_offsets_text(&[7, 0, 12]));
        assert_eq!(lite_offsets(properties.view()), [7, 0, 12]);
        assert!(lite_offsets(PropertiesView::default()).is_empty());
    }
}

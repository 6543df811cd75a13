//! One answer for each code, sorted by what it is about.

pub mod clients;
pub mod connections;
pub mod forward;
pub mod groups;
pub mod jobs;
pub mod names;
pub mod offsets;
pub mod progress;
pub mod pull;
pub mod queries;
pub mod runtime_info;
pub mod send;
mod topic_attributes;
pub mod topics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use delivery::Error;
use metadata::{GroupConfig, Groups};
use model::properties::{self, Notes};
use model::{ConsumerGroup, Properties, PropertiesView, Timestamp, UniqueKeys};
use protocol::body::{self, DataVersion};
use runtime::Clock;
use tokio::sync::Notify;

/// What the broker says of itself, and what it does for every message and group.
pub struct Identity {
    pub cluster: String,
    pub name: String,
    pub body_limit: usize,
    pub auto_create_topics: bool,
    pub auto_create_groups: bool,
    /// Queues of a topic made without anybody saying how many.
    pub default_queues: u32,
    pub groups: Arc<Groups>,
    pub clock: Clock,
    pub unique_keys: UniqueKeys,
    /// Properties that every stored message carries.
    marks: Properties,
    /// Wakes the registration: name servers learn of a new topic at once.
    pub topics_changed: Notify,
    next: AtomicU32,
    /// Changes to groups since the start.
    groups_changes: AtomicU64,
    /// Milliseconds since 1970.
    started: i64,
}

/// Properties of one message that are not stored as they came.
#[derive(Default)]
pub struct Room {
    given: String,
    added: String,
}

/// How a broker is described to [`Identity::new`].
pub struct Description {
    pub cluster: String,
    pub name: String,
    pub body_limit: usize,
    pub auto_create_topics: bool,
    pub auto_create_groups: bool,
}

impl Identity {
    pub fn new(
        description: Description,
        groups: Arc<Groups>,
        clock: Clock,
        unique_keys: UniqueKeys,
    ) -> Identity {
        let marks = [
            (properties::REGION, "DefaultRegion"),
            (properties::TRACE_ON, "true"),
            (properties::CLUSTER, &description.cluster),
        ];
        Identity {
            marks: marks.into_iter().collect(),
            cluster: description.cluster,
            name: description.name,
            body_limit: description.body_limit,
            auto_create_topics: description.auto_create_topics,
            auto_create_groups: description.auto_create_groups,
            default_queues: 8,
            groups,
            started: clock.wall(),
            clock,
            unique_keys,
            topics_changed: Notify::new(),
            next: AtomicU32::new(0),
            groups_changes: AtomicU64::new(0),
        }
    }

    /// The properties that a message is stored with: what its sender gave it, and what is
    /// missing, its unique key among it. What has to be written anew is written to `room`.
    pub fn complete<'p>(
        &'p self,
        given: &'p str,
        mut notes: Notes<'p>,
        room: &'p mut Room,
    ) -> ([&'p str; 2], Notes<'p>) {
        let (mut given, mut added) = (given, self.marks.as_text());
        if notes.marked {
            let mut marked = Properties::from(given);
            marked.remove(properties::POP_CHECKPOINT);
            for (name, value) in &self.marks {
                marked.set(name, value);
            }
            room.given = marked.into();
            (given, added) = (&room.given, "");
            notes = Notes::of(PropertiesView::new(given.as_bytes()));
        }
        if notes.unique.is_none() {
            let unique = self.unique_keys.next(Timestamp(self.clock.wall()));
            let mut with_key = Properties::from(added);
            with_key.set(properties::UNIQUE_KEY, unique.as_str());
            room.added = with_key.into();
            added = &room.added;
            notes.unique = PropertiesView::new(added.as_bytes()).get(properties::UNIQUE_KEY);
        }
        ([given, added], notes)
    }

    /// The group's settings; a group that is not known is made, if that may be.
    pub fn group(&self, group: &ConsumerGroup) -> Result<Arc<GroupConfig>, Error> {
        if let Some(config) = self.groups.get(group.as_str()) {
            return Ok(config);
        }
        if !self.auto_create_groups && !group.is_system() {
            return Err(Error::NoSuchGroup {
                group: group.to_string(),
            });
        }
        self.groups.put(group.clone(), GroupConfig::default())?;
        self.groups_changed();
        Ok(self.groups.get(group.as_str()).unwrap_or_default())
    }

    /// One of `queues` queues, each as often as the others.
    pub fn any(&self, queues: u32) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed) % queues
    }

    pub fn topics_changed(&self) {
        self.topics_changed.notify_one();
    }

    pub fn groups_changed(&self) {
        self.groups_changes.fetch_add(1, Ordering::Relaxed);
    }

    pub fn groups_version(&self) -> u64 {
        self.groups_changes.load(Ordering::Relaxed)
    }

    /// A table's state after `changes`, told from every state of an earlier run.
    pub fn version(&self, changes: u64) -> DataVersion {
        DataVersion {
            counter: changes as i64,
            state_version: 0,
            timestamp: self.started + changes as i64,
        }
    }
}

/// Which part of a table is asked for, as entries to skip and to take.
///
/// A caller that has read a part of another state of the table begins again.
fn page(
    first: Option<i32>,
    most: Option<i32>,
    seen: Option<&str>,
    now: DataVersion,
) -> (usize, usize) {
    let seen = seen.filter(|seen| !seen.is_empty());
    let seen = seen.and_then(|seen| body::decode::<DataVersion>(seen.as_bytes()).ok());
    let skip = match seen.is_none_or(|seen| seen == now) {
        true => first
            .and_then(|first| usize::try_from(first).ok())
            .unwrap_or(0),
        false => 0,
    };
    let take = most
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(usize::MAX);
    (skip, take)
}

//! Names of topics, one copy of each for all who hold it.

use std::collections::HashMap;

use model::Topic;

/// Names read from the log or a checkpoint, whose queues are to share them.
pub(crate) struct TopicNames {
    known: HashMap<Box<str>, Topic, foldhash::fast::RandomState>,
    /// Beyond so many all are forgotten: others hold them who need them.
    limit: usize,
}

impl TopicNames {
    pub(crate) fn with_limit(limit: usize) -> Self {
        Self {
            known: HashMap::default(),
            limit,
        }
    }

    /// The topic of this name; `None` if no topic is called so.
    pub(crate) fn get(&mut self, name: &str) -> Option<Topic> {
        if let Some(topic) = self.known.get(name) {
            return Some(topic.clone());
        }
        let topic = Topic::stored(name).ok()?;
        if self.known.len() >= self.limit {
            self.known.clear();
        }
        self.known.insert(name.into(), topic.clone());
        Some(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_one_copy() {
        let mut names = TopicNames::with_limit(2);
        let place = |topic: &Option<Topic>| topic.as_ref().expect("a topic").as_str().as_ptr();
        let first = names.get("a");
        assert_eq!(place(&first), place(&names.get("a")));
        names.get("b");
        names.get("c");
        let again = names.get("a");
        assert_ne!(place(&first), place(&again), "the limit was reached");
        assert_eq!(names.get(""), None);
    }
}

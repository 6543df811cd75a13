//! The files a sink leaves behind, and what their names say.
//!
//! `orders-3-00000000000000000100-00000000000000000250.jsonl` holds queue 3 of the topic
//! `orders` from offset 100 up to, but without, 250. The name appears by one atomic rename
//! when all of it is durable, so the names alone tell where to go on.

use std::collections::BTreeMap;

/// The records of one finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) topic: String,
    pub(crate) queue: u32,
    pub(crate) first: u64,
    pub(crate) next: u64,
}

impl Part {
    /// The name of the finished file.
    pub(crate) fn file_name(&self, extension: &str) -> String {
        let Self {
            topic,
            queue,
            first,
            next,
        } = self;
        format!("{topic}-{queue}-{first:020}-{next:020}.{extension}")
    }

    /// Reads a name back; `None` for any other file.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        if name.starts_with('.') || !matches!(extension, "jsonl" | "csv") {
            return None;
        }
        let mut fields = stem.rsplitn(4, '-');
        let mut number = |digits: usize| {
            let field = fields.next()?;
            let sound = field.bytes().all(|byte| byte.is_ascii_digit())
                && (digits == 0 || field.len() == digits);
            if sound {
                field.parse::<u64>().ok()
            } else {
                None
            }
        };
        let (next, first, queue) = (number(20)?, number(20)?, number(0)?);
        let topic = fields.next().filter(|topic| !topic.is_empty())?;
        Some(Self {
            topic: topic.to_owned(),
            queue: u32::try_from(queue).ok()?,
            first,
            next,
        })
    }
}

/// Where each queue goes on after the parts there are. `Err` names a file that overlaps the one
/// before it: two writers were at work.
pub(crate) fn ends<'a>(
    names: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<(String, u32), u64>, String> {
    let mut parts: Vec<(Part, &str)> = names
        .into_iter()
        .filter_map(|name| Some((Part::parse(name)?, name)))
        .collect();
    parts.sort_by(|(a, _), (b, _)| (&a.topic, a.queue, a.first).cmp(&(&b.topic, b.queue, b.first)));
    let mut ends = BTreeMap::new();
    for (part, name) in parts {
        let end = ends.entry((part.topic, part.queue)).or_insert(0);
        if part.first < *end || part.next <= part.first {
            return Err(name.to_owned());
        }
        *end = part.next;
    }
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(topic: &str, queue: u32, first: u64, next: u64) -> Part {
        Part {
            topic: topic.into(),
            queue,
            first,
            next,
        }
    }

    #[test]
    fn a_name_says_topic_queue_and_range() {
        for part in [
            part("orders", 3, 100, 250),
            part("a-b-7", 0, 0, u64::MAX),
            part("%RETRY%g", 1, 5, 6),
        ] {
            assert_eq!(Part::parse(&part.file_name("csv")), Some(part));
        }
    }

    #[test]
    fn other_files_in_the_directory_mean_nothing() {
        for name in [
            "",
            "notes.txt",
            "a-1-2-3.jsonl",
            ".x-0-00000000000000000000-00000000000000000001.jsonl",
            "-0-00000000000000000000-00000000000000000001.jsonl",
        ] {
            assert_eq!(Part::parse(name), None, "{name}");
        }
    }

    #[test]
    fn each_queue_goes_on_where_its_last_part_ends() {
        let names = [
            part("t", 0, 10, 20),
            part("t", 0, 0, 10),
            part("t", 1, 5, 6),
        ]
        .map(|part| part.file_name("jsonl"));
        let ends = ends(names.iter().map(String::as_str)).expect("nothing overlaps");
        assert_eq!(
            ends,
            BTreeMap::from([(("t".into(), 0), 20), (("t".into(), 1), 6)])
        );
    }

    #[test]
    fn overlapping_parts_are_reported() {
        let names = [part("t", 0, 0, 10), part("t", 0, 9, 20)].map(|part| part.file_name("jsonl"));
        assert_eq!(
            ends(names.iter().map(String::as_str)),
            Err(names[1].clone())
        );
    }
}

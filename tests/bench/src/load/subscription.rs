//! What a group asks for, and which of our messages that means.

use std::str::FromStr;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// Messages differ in their properties by their number modulo this.
pub const CLASSES: u64 = 100;

/// A filter whose answer the generator knows beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subscription {
    All,
    /// The tag that so many percent of the messages have: 1, 10 or 50.
    Tag(u64),
    /// `a > 5 AND b IN ('x','y')`.
    Sql,
}

impl Subscription {
    /// As the wire names it: the language and the expression.
    pub fn expression(self) -> (&'static str, String) {
        match self {
            Subscription::All => ("TAG", "*".to_owned()),
            Subscription::Tag(percent) => ("TAG", format!("p{percent}")),
            Subscription::Sql => ("SQL92", "a > 5 AND b IN ('x','y')".to_owned()),
        }
    }

    /// Whether it keeps the message of that number.
    pub fn keeps(self, number: u64) -> bool {
        let class = number % CLASSES;
        match self {
            Subscription::All => true,
            Subscription::Tag(percent) => tag(class) == format!("p{percent}"),
            Subscription::Sql => a(class) > 5 && matches!(b(class), "x" | "y"),
        }
    }
}

/// The same by classes, for loops over many messages.
pub fn kept_classes(subscription: Subscription) -> Vec<bool> {
    (0..CLASSES)
        .map(|class| subscription.keeps(class))
        .collect()
}

/// With those of every message sixteen properties.
pub fn class_properties(class: u64) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = vec![
        ("TAGS".into(), tag(class)),
        ("KEYS".into(), format!("order-{class:03}")),
        ("a".into(), a(class).to_string()),
        ("b".into(), b(class).into()),
    ];
    for number in 0..10 {
        all.push((
            format!("property-{number}"),
            format!("value-{class:03}-{number}"),
        ));
    }
    all
}

/// 1 % have `p1`, 10 % `p10`, 50 % `p50`, the others `rest`.
fn tag(class: u64) -> String {
    match class {
        0 => "p1",
        1..=10 => "p10",
        11..=60 => "p50",
        _ => "rest",
    }
    .to_owned()
}

fn a(class: u64) -> u64 {
    class % 10
}

fn b(class: u64) -> &'static str {
    ["x", "y", "z", "w"][(class / 10 % 4) as usize]
}

impl FromStr for Subscription {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Subscription> {
        Ok(match text {
            "all" => Subscription::All,
            "tag1" => Subscription::Tag(1),
            "tag10" => Subscription::Tag(10),
            "tag50" => Subscription::Tag(50),
            "sql" => Subscription::Sql,
            _ => bail!("{text:?} is none of all, tag1, tag10, tag50, sql"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_filter_keeps_its_share() {
        let share = |subscription| {
            kept_classes(subscription)
                .iter()
                .filter(|kept| **kept)
                .count()
        };
        assert_eq!(share(Subscription::All), 100);
        assert_eq!(share(Subscription::Tag(1)), 1);
        assert_eq!(share(Subscription::Tag(10)), 10);
        assert_eq!(share(Subscription::Tag(50)), 50);
        assert_eq!(share(Subscription::Sql), 24);
    }

    #[test]
    fn a_message_has_sixteen_properties() {
        // The unique key and WAIT come with every message.
        assert_eq!(class_properties(7).len() + 2, 16);
    }
}

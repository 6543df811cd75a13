//! A body in RocketMQ's dialect of JSON, as a value that can be compared.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Lists and maps are sorted: RocketMQ writes sets and hash maps in any order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    Null,
    Bool(bool),
    /// Numbers and texts alike: the dialect may write either for the other.
    Text(String),
    List(Vec<Dialect>),
    Map(Vec<(Dialect, Dialect)>),
}

impl Dialect {
    pub fn read(body: &[u8]) -> Dialect {
        protocol::body::decode(body)
            .unwrap_or_else(|_| Dialect::Text(String::from_utf8_lossy(body).into_owned()))
    }

    /// The same with `#` for the value of every member that `volatile` names.
    pub fn masked(self, volatile: &[&str]) -> Dialect {
        match self {
            Dialect::List(values) => {
                let mut values: Vec<_> = values
                    .into_iter()
                    .map(|value| value.masked(volatile))
                    .collect();
                values.sort();
                Dialect::List(values)
            }
            Dialect::Map(members) => {
                let mask = |(key, value): (Dialect, Dialect)| {
                    let hidden =
                        matches!(&key, Dialect::Text(key) if volatile.contains(&key.as_str()));
                    let value = match hidden {
                        true => Dialect::Text("#".to_owned()),
                        false => value.masked(volatile),
                    };
                    (key, value)
                };
                let mut members: Vec<_> = members.into_iter().map(mask).collect();
                members.sort();
                Dialect::Map(members)
            }
            other => other,
        }
    }

    /// The same with `#` for every value that is not a map: what is left are the names. Of a
    /// list and of a map whose keys are data, one element stands for all.
    pub fn shape(self) -> Dialect {
        match self {
            Dialect::List(values) => {
                let mut shapes: Vec<_> = values.into_iter().map(Dialect::shape).collect();
                shapes.sort();
                shapes.dedup();
                Dialect::List(shapes)
            }
            Dialect::Map(members) => {
                let data = members.iter().all(|(key, _)| key.is_data());
                let mut shapes: Vec<_> = members
                    .into_iter()
                    .map(|(key, value)| match data {
                        true => (Dialect::Text("*".to_owned()), value.shape()),
                        false => (key, value.shape()),
                    })
                    .collect();
                shapes.sort();
                shapes.dedup();
                Dialect::Map(shapes)
            }
            Dialect::Null => Dialect::Null,
            Dialect::Bool(_) | Dialect::Text(_) => Dialect::Text("#".to_owned()),
        }
    }

    /// Objects, numbers and names of topics and groups are data; members are in lower case.
    fn is_data(&self) -> bool {
        match self {
            Dialect::Text(text) => !text.starts_with(|first: char| first.is_ascii_lowercase()),
            _ => true,
        }
    }
}

impl fmt::Debug for Dialect {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dialect::Null => out.write_str("null"),
            Dialect::Bool(value) => write!(out, "{value}"),
            Dialect::Text(text) => out.write_str(text),
            Dialect::List(values) => out.debug_list().entries(values).finish(),
            Dialect::Map(members) => out
                .debug_map()
                .entries(members.iter().map(|(key, value)| (key, value)))
                .finish(),
        }
    }
}

impl<'de> Deserialize<'de> for Dialect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Dialect;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Dialect, E> {
        Ok(Dialect::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Dialect, E> {
        Ok(Dialect::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Dialect, E> {
        Ok(Dialect::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Dialect, E> {
        Ok(Dialect::Text(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Dialect, E> {
        Ok(Dialect::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Dialect, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        list.sort();
        Ok(Dialect::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Dialect, A::Error> {
        let mut map = Vec::new();
        while let Some(member) = members.next_entry()? {
            map.push(member);
        }
        map.sort();
        Ok(Dialect::Map(map))
    }
}

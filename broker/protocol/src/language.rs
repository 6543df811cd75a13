//! The languages clients are written in.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// Language of the program that sent a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    Java = 0,
    Cpp = 1,
    Dotnet = 2,
    Python = 3,
    Delphi = 4,
    Erlang = 5,
    Ruby = 6,
    /// Anything without a number of its own, and every name we do not know.
    #[default]
    Other = 7,
    Http = 8,
    Go = 9,
    Php = 10,
    Oms = 11,
    Rust = 12,
    NodeJs = 13,
}

const ALL: [(Language, &str); 14] = [
    (Language::Java, "JAVA"),
    (Language::Cpp, "CPP"),
    (Language::Dotnet, "DOTNET"),
    (Language::Python, "PYTHON"),
    (Language::Delphi, "DELPHI"),
    (Language::Erlang, "ERLANG"),
    (Language::Ruby, "RUBY"),
    (Language::Other, "OTHER"),
    (Language::Http, "HTTP"),
    (Language::Go, "GO"),
    (Language::Php, "PHP"),
    (Language::Oms, "OMS"),
    (Language::Rust, "RUST"),
    (Language::NodeJs, "NODE_JS"),
];

impl Language {
    /// The number used in binary headers.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        ALL[usize::from(self.number())].1
    }

    /// The language of that number; `Other` when there is none.
    pub fn from_number(number: u8) -> Language {
        ALL.get(usize::from(number))
            .map_or(Language::Other, |&(language, _)| language)
    }

    /// The language of that name; `Other` when there is none.
    pub fn from_name(name: &str) -> Language {
        ALL.iter()
            .find(|(_, known)| *known == name)
            .map_or(Language::Other, |&(language, _)| language)
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Language {
    /// By name or by number; never fails on one that is unknown.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrNumber;

        impl Visitor<'_> for NameOrNumber {
            type Value = Language;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a language")
            }

            fn visit_str<E>(self, name: &str) -> Result<Language, E> {
                Ok(Language::from_name(name))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Language, E> {
                Ok(u8::try_from(number).map_or(Language::Other, Language::from_number))
            }
        }

        deserializer.deserialize_any(NameOrNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_is_found_again_by_its_number_and_by_its_name() {
        for (language, name) in ALL {
            assert_eq!(Language::from_number(language.number()), language);
            assert_eq!(Language::from_name(name), language);
            assert_eq!(language.name(), name);
        }
        assert_eq!(Language::from_number(99), Language::Other);
        assert_eq!(Language::from_name("COBOL"), Language::Other);
    }
}

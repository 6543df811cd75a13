//! A configuration as a tree and as a flat map of texts: two forms of one thing.
//!
//! Dots are structure: `errors.retry.timeout` is the text `timeout` under `errors.retry`. A key
//! that is both a value and a prefix keeps its value as `type` in the tree, so `format=json`
//! beside `format.null-literal=x` is `[format]` with `type` and `null-literal`. Lists of scalars
//! are one text, their items joined by commas, `\,` for a comma inside one.

use std::collections::BTreeMap;

use connect_sdk::join_list;
use serde_json::Value;

/// A flat configuration.
pub type Flat = BTreeMap<String, String>;

/// The name under which the tree keeps the value of a key that is also a prefix.
const OWN: &str = "type";

/// A node of the tree: its own text, its children, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The text of the path that leads here.
    pub value: Option<String>,
    /// What lies below, by the next word of the path.
    pub children: BTreeMap<String, Tree>,
}

/// Why something has no place in the other form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Two keys come to the same place.
    #[error("\"{key}\" is set twice")]
    Twice {
        /// The flat key.
        key: String,
    },
    /// A value that is no text, number, boolean, list of those or table.
    #[error("\"{key}\" is {what}, which no option can be")]
    NoText {
        /// The flat key.
        key: String,
        /// What stands there.
        what: &'static str,
    },
}

impl Tree {
    /// The tree of a flat map. `a.type` below the root is the value of `a` itself.
    pub fn of_flat(flat: &Flat) -> Result<Self, TreeError> {
        let mut root = Self::default();
        for (key, value) in flat {
            root.insert(key, value.clone())?;
        }
        Ok(root)
    }

    fn insert(&mut self, key: &str, value: String) -> Result<(), TreeError> {
        let key = canonical_key(key);
        let mut node = self;
        for word in key.split('.') {
            node = node.children.entry(word.to_owned()).or_default();
        }
        match node.value.replace(value) {
            None => Ok(()),
            Some(_) => Err(TreeError::Twice {
                key: key.to_owned(),
            }),
        }
    }

    /// The flat map of the tree.
    pub fn to_flat(&self) -> Flat {
        let mut flat = Flat::new();
        for (word, child) in &self.children {
            child.flatten(word.clone(), &mut flat);
        }
        flat
    }

    fn flatten(&self, path: String, flat: &mut Flat) {
        for (word, child) in &self.children {
            child.flatten(format!("{path}.{word}"), flat);
        }
        if let Some(value) = &self.value {
            flat.insert(path, value.clone());
        }
    }

    /// The tree as nested objects of texts.
    pub fn to_value(&self) -> Value {
        Value::Object(
            self.children
                .iter()
                .map(|(word, child)| (word.clone(), child.printed()))
                .collect(),
        )
    }

    fn printed(&self) -> Value {
        let Some(value) = &self.value else {
            return self.to_value();
        };
        if self.children.is_empty() {
            return value.as_str().into();
        }
        // No key ends in the word itself, so the place below it is free.
        let mut children = self.children.clone();
        children.entry(OWN.to_owned()).or_default().value = Some(value.clone());
        Self {
            value: None,
            children,
        }
        .to_value()
    }

    /// Reads nested objects. Numbers and booleans become their text.
    pub fn of_value(value: &Value) -> Result<Self, TreeError> {
        let mut root = Self::default();
        root.read(None, value)?;
        Ok(root)
    }

    fn read(&mut self, path: Option<&str>, value: &Value) -> Result<(), TreeError> {
        let Value::Object(object) = value else {
            let path = path.unwrap_or_default();
            return self.insert(path, scalar_text(path, value)?);
        };
        for (word, value) in object {
            let path = match path {
                None => word.clone(),
                Some(path) => format!("{path}.{word}"),
            };
            self.read(Some(&path), value)?;
        }
        Ok(())
    }
}

/// The flat key that stands for all its spellings.
pub(crate) fn canonical_key(key: &str) -> &str {
    let mut key = key;
    while let Some((before, OWN)) = key.rsplit_once('.') {
        key = before;
    }
    key
}

fn scalar_text(path: &str, value: &Value) -> Result<String, TreeError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(boolean) => Ok(boolean.to_string()),
        Value::Array(items) => {
            let texts = items.iter().map(|item| match item {
                Value::Array(_) | Value::Object(_) => Err(TreeError::NoText {
                    key: path.to_owned(),
                    what: "a list of lists or tables",
                }),
                scalar => scalar_text(path, scalar),
            });
            let texts = texts.collect::<Result<Vec<_>, _>>()?;
            Ok(join_list(texts.iter().map(String::as_str)))
        }
        Value::Null => Err(TreeError::NoText {
            key: path.to_owned(),
            what: "null",
        }),
        Value::Object(_) => Err(TreeError::NoText {
            key: path.to_owned(),
            what: "a table",
        }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn flat(pairs: &[(&str, &str)]) -> Flat {
        pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn dots_are_structure_and_a_value_beside_children_is_its_type() {
        let flat = flat(&[
            ("errors.retry.timeout", "5m"),
            ("key.converter", "avro"),
            ("key.converter.url", "x"),
        ]);
        let tree = Tree::of_flat(&flat).expect("no key is there twice");
        assert_eq!(
            tree.to_value(),
            json!({"errors": {"retry": {"timeout": "5m"}}, "key": {"converter": {"type": "avro", "url": "x"}}})
        );
        assert_eq!(tree.to_flat(), flat);
    }

    #[test]
    fn numbers_booleans_and_lists_become_texts() {
        let tree = Tree::of_value(&json!({"a": 1, "b": {"c": true}, "d": ["x", 2, "y,z"]}))
            .expect("all are scalars");
        assert_eq!(
            tree.to_flat(),
            flat(&[("a", "1"), ("b.c", "true"), ("d", r"x,2,y\,z")])
        );
    }

    #[test]
    fn what_is_no_text_is_named() {
        let error = Tree::of_value(&json!({"a": {"b": [[1]]}})).expect_err("a list of lists");
        assert_eq!(
            error.to_string(),
            "\"a.b\" is a list of lists or tables, which no option can be"
        );
        let error = Tree::of_flat(&flat(&[("a", "1"), ("a.type", "2")])).expect_err("one place");
        assert_eq!(error, TreeError::Twice { key: "a".into() });
    }

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![4 => "[a-z-]{0,4}", 1 => Just("type".to_owned())]
    }

    fn any_flat() -> impl Strategy<Value = Flat> {
        proptest::collection::btree_map(
            proptest::collection::vec(word(), 1..4).prop_map(|words| words.join(".")),
            ".{0,6}",
            0..8,
        )
    }

    proptest! {
        #[test]
        fn flat_to_tree_to_flat_is_canonical_printing(given in any_flat()) {
            if let Ok(tree) = Tree::of_flat(&given) {
                let printed = tree.to_flat();
                let canonical: Flat = given.iter().map(|(key, value)| (canonical_key(key).to_owned(), value.clone())).collect();
                prop_assert_eq!(&printed, &canonical);
                prop_assert_eq!(Tree::of_flat(&printed).expect("canonical keys differ").to_flat(), printed);
            }
        }

        #[test]
        fn tree_to_flat_to_tree_is_identity(given in any_flat()) {
            if let Ok(tree) = Tree::of_flat(&given) {
                prop_assert_eq!(Tree::of_flat(&tree.to_flat()), Ok(tree.clone()));
                prop_assert_eq!(Tree::of_value(&tree.to_value()), Ok(tree));
            }
        }
    }
}

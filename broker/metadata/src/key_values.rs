//! Namespaced key-values: the name server's KV configuration, connector and job records.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::Error;
use crate::tables::{Batch, Durability, Table, Tables};

/// Stands between namespace and key; neither may hold it.
const SEPARATOR: char = '\u{1}';

/// All key-values; every change is durable when its call returns.
pub struct KeyValues {
    tables: Arc<dyn Tables>,
    /// Guards the map below; held for a lookup or one write.
    entries: RwLock<BTreeMap<String, BTreeMap<String, String>>>,
}

impl KeyValues {
    pub(crate) fn load(tables: Arc<dyn Tables>) -> Result<KeyValues, Error> {
        let mut entries: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for (key, value) in tables.entries(Table::KeyValues)? {
            let (Ok(key), Ok(value)) = (String::from_utf8(key), String::from_utf8(value)) else {
                tracing::error!("a kept key-value is not UTF-8 and is set aside");
                continue;
            };
            if let Some((namespace, key)) = key.split_once(SEPARATOR) {
                entries
                    .entry(namespace.to_owned())
                    .or_default()
                    .insert(key.to_owned(), value);
            }
        }
        Ok(KeyValues {
            tables,
            entries: RwLock::new(entries),
        })
    }

    pub fn get(&self, namespace: &str, key: &str) -> Option<String> {
        self.entries.read().get(namespace)?.get(key).cloned()
    }

    /// A whole namespace; `None` when nothing was ever put there, or all of it was removed.
    pub fn namespace(&self, namespace: &str) -> Option<BTreeMap<String, String>> {
        self.entries.read().get(namespace).cloned()
    }

    pub fn put(&self, namespace: &str, key: &str, value: &str) -> Result<(), Error> {
        let whole = whole_key(namespace, key)?;
        let mut entries = self.entries.write();
        let mut batch = Batch::default();
        batch.put(Table::KeyValues, whole, value);
        self.tables.apply(batch, Durability::Now)?;
        entries
            .entry(namespace.to_owned())
            .or_default()
            .insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// Returns whether the key was there.
    pub fn remove(&self, namespace: &str, key: &str) -> Result<bool, Error> {
        let whole = whole_key(namespace, key)?;
        let mut entries = self.entries.write();
        let Some(keys) = entries.get_mut(namespace) else {
            return Ok(false);
        };
        if !keys.contains_key(key) {
            return Ok(false);
        }
        let mut batch = Batch::default();
        batch.remove(Table::KeyValues, whole);
        self.tables.apply(batch, Durability::Now)?;
        keys.remove(key);
        if keys.is_empty() {
            entries.remove(namespace);
        }
        Ok(true)
    }
}

fn whole_key(namespace: &str, key: &str) -> Result<String, Error> {
    if namespace.is_empty() || key.is_empty() || namespace.contains(SEPARATOR) {
        let why =
            "namespace and key must not be empty, and the namespace holds no control character";
        return Err(Error::Invalid {
            what: "key",
            name: format!("{namespace}/{key}"),
            why: why.to_owned(),
        });
    }
    Ok(format!("{namespace}{SEPARATOR}{key}"))
}

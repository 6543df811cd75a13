//! The connectors there are, by class, alias and family.

use std::sync::Arc;

use connect_sdk::{Connector, Description, Kind, nearest};

/// The connectors there are. Cheap to clone.
#[derive(Clone, Default)]
pub struct Catalogue {
    plugins: Arc<Vec<Plugin>>,
}

/// One connector of the catalogue.
#[derive(Clone)]
pub struct Plugin {
    /// What it says about itself.
    pub description: Arc<Description>,
    /// The connector.
    pub connector: Arc<dyn Connector>,
}

impl Catalogue {
    /// A catalogue of these connectors.
    pub fn new(connectors: impl IntoIterator<Item = Arc<dyn Connector>>) -> Self {
        let plugin = |connector: Arc<dyn Connector>| Plugin {
            description: Arc::new(connector.describe()),
            connector,
        };
        Self {
            plugins: Arc::new(connectors.into_iter().map(plugin).collect()),
        }
    }

    /// All of them.
    pub fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// The connector of a class: its name, an alias with or without the package, or its family,
    /// if `kind` or the catalogue leaves only one of that.
    pub fn find(&self, class: &str, kind: Option<Kind>) -> Result<&Plugin, NotFound> {
        let of_kind = |plugin: &&Plugin| kind.is_none_or(|kind| plugin.description.kind == kind);
        let exact = |plugin: &&Plugin| {
            let description = &plugin.description;
            description.name == class || description.alias(class).is_some()
        };
        if let Some(plugin) = self.plugins.iter().filter(of_kind).find(exact) {
            return Ok(plugin);
        }
        let family: Vec<&Plugin> = self
            .plugins
            .iter()
            .filter(of_kind)
            .filter(|plugin| plugin.description.family == class)
            .collect();
        match family.as_slice() {
            [plugin] => Ok(plugin),
            [] => {
                let names = self
                    .plugins
                    .iter()
                    .flat_map(|plugin| [plugin.description.name, plugin.description.family]);
                let known: Vec<&str> = self
                    .plugins
                    .iter()
                    .map(|plugin| plugin.description.name)
                    .collect();
                Err(NotFound::Unknown {
                    near: nearest(class, names).map(str::to_owned),
                    known: known.join(", "),
                })
            }
            _ => Err(NotFound::Ambiguous),
        }
    }
}

/// Why a class names no connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// There is none of that name.
    Unknown {
        /// The name that was probably meant.
        near: Option<String>,
        /// Every name there is.
        known: String,
    },
    /// There is a source and a sink of that name.
    Ambiguous,
}

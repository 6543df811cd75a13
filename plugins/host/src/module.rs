//! A module that passed the door: compiled, tried once, and asked what it offers.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::Engine;

use crate::deadlines::Deadlines;
use crate::function::ScalarFunction;
use crate::instance::Code;
use crate::{Error, Settings, Signature};

/// What a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A component; it describes its functions itself.
    Component,
    /// A core module; its one function is what `CREATE FUNCTION` declares.
    Core,
}

/// SHA-256 of a module's file. A function's version is its module's hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleHash([u8; 32]);

impl ModuleHash {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The first twelve digits: enough to recognise it by.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }

    pub(crate) fn seed(&self) -> u64 {
        let first = self.0.first_chunk().expect("a hash has 32 bytes");
        u64::from_le_bytes(*first)
    }
}

impl fmt::Display for ModuleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ModuleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A module that can be used. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    compiled: Arc<Compiled>,
    kind: Kind,
    signatures: Arc<[Signature]>,
}

/// What is needed to start a module and to run it within its limits.
pub(crate) struct Compiled {
    pub(crate) engine: Engine,
    pub(crate) settings: Settings,
    pub(crate) deadlines: Arc<Deadlines>,
    pub(crate) hash: ModuleHash,
    pub(crate) code: Code,
}

impl Module {
    pub(crate) fn new(compiled: Arc<Compiled>, signatures: Vec<Signature>) -> Self {
        Self {
            kind: match compiled.code {
                Code::Component(_) => Kind::Component,
                Code::Core(_) => Kind::Core,
            },
            signatures: signatures.into(),
            compiled,
        }
    }

    pub fn hash(&self) -> ModuleHash {
        self.compiled.hash
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What a component offers, in its own order; empty for a core module.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The function `name` of this module, for one job: its instances serve no other.
    ///
    /// A component must describe a function of that name (case does not matter) with the
    /// declared types. A core module holds one function and takes the declaration's word.
    pub fn scalar(&self, name: &str, declared: &Signature) -> Result<ScalarFunction, Error> {
        declared.check_types()?;
        if self.kind == Kind::Core {
            return Ok(ScalarFunction::new(
                self.compiled.clone(),
                0,
                declared.clone(),
            ));
        }
        let named = || {
            let all = self.signatures.iter().enumerate();
            all.filter(|(_, described)| described.name.eq_ignore_ascii_case(name))
        };
        if let Some((number, described)) =
            named().find(|(_, described)| described.agrees_with(declared))
        {
            return Ok(ScalarFunction::new(
                self.compiled.clone(),
                number as u32,
                described.clone(),
            ));
        }
        match named().next() {
            Some((_, described)) => Err(Error::Signature {
                declared: declared.to_string(),
                described: described.to_string(),
            }),
            None => Err(Error::NoSuchFunction {
                name: name.to_owned(),
                offered: self.offered(),
            }),
        }
    }

    fn offered(&self) -> String {
        match &*self.signatures {
            [] => "none".to_owned(),
            some => some
                .iter()
                .map(Signature::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("hash", &self.compiled.hash)
            .field("kind", &self.kind)
            .field("signatures", &self.signatures)
            .finish_non_exhaustive()
    }
}

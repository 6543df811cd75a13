//! Where modules come in: one engine for all of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use runtime::Tasks;
use wasmtime::Engine;

use crate::component::{ScalarComponent, malformed};
use crate::componentize::{carries_world, to_component};
use crate::core_module::CoreModule;
use crate::deadlines::{Deadline, Deadlines};
use crate::instance::{Code, Instance};
use crate::module::{Compiled, Module, ModuleHash};
use crate::{Error, Settings, Signature, sandbox};

/// Compiles modules and keeps the deadlines of their functions.
pub struct PluginHost {
    engine: Engine,
    settings: Settings,
    deadlines: Arc<Deadlines>,
}

impl PluginHost {
    /// Starts the thread that watches deadlines; it ends with the tasks or with the host.
    pub fn new(settings: Settings, tasks: &Tasks) -> Result<Arc<Self>, Error> {
        let engine = sandbox::engine(&settings)?;
        let deadlines = Deadlines::watch(&engine, tasks)?;
        Ok(Arc::new(Self {
            engine,
            settings,
            deadlines,
        }))
    }

    /// Makes a module of a `.wasm` file's bytes, whatever they are.
    ///
    /// Takes a component, a core module with its WIT world inside (what `cargo build`
    /// leaves), or a core module of the core ABI. It is checked, compiled, started once
    /// and asked for its functions, so that a module which cannot work is refused here.
    /// Compiling takes from milliseconds to a second: call this beside async code.
    pub fn compile(&self, bytes: &[u8]) -> Result<Module, Error> {
        if bytes.len() > self.settings.module_bytes {
            return Err(Error::TooLarge {
                bytes: bytes.len(),
                limit: self.settings.module_bytes,
            });
        }
        let compiled = Arc::new(Compiled {
            engine: self.engine.clone(),
            settings: self.settings.clone(),
            deadlines: self.deadlines.clone(),
            hash: ModuleHash::of(bytes),
            code: self.code(bytes)?,
        });
        let deadline = Deadline::after(self.settings.start_deadline());
        let mut instance = Instance::start(&compiled, Arc::new(AtomicU64::new(0)), deadline)
            .map_err(Error::Start)?;
        let described = instance
            .describe(&compiled, deadline)
            .map_err(Error::Start)?;
        let signatures = described
            .into_iter()
            .map(Signature::described)
            .collect::<Result<_, _>>()?;
        Ok(Module::new(compiled, signatures))
    }

    fn code(&self, bytes: &[u8]) -> Result<Code, Error> {
        if bytes.get(..4) != Some(b"\0asm") {
            return Err(Error::Malformed(
                "a .wasm file starts with the bytes 00 61 73 6d".to_owned(),
            ));
        }
        if bytes.get(4..8) == Some(b"\x0d\0\x01\0") {
            return self.component(bytes);
        }
        if carries_world(bytes) {
            wasmtime::Module::validate(&self.engine, bytes).map_err(malformed)?;
            return self.component(&to_component(bytes)?);
        }
        CoreModule::compile(&self.engine, bytes).map(Code::Core)
    }

    fn component(&self, bytes: &[u8]) -> Result<Code, Error> {
        ScalarComponent::compile(&self.engine, bytes, &self.settings).map(Code::Component)
    }
}

impl fmt::Debug for PluginHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginHost")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

//! Functions that are core modules: one block in, one block out.

use wasmtime::{
    Engine, ExternType, InstancePre, Linker, Memory, Module, Store, TypedFunc, ValType, bail,
    format_err,
};

use crate::Error;
use crate::argument::Argument;
use crate::block::{Reply, Request};
use crate::component::malformed;
use crate::guest::Guest;
use crate::wasi;

/// A compiled core module with the exports of the core ABI.
pub(crate) struct CoreModule {
    instances: InstancePre<Guest>,
    /// Runtimes of languages start themselves here.
    initialize: bool,
}

impl CoreModule {
    pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Self, Error> {
        let module = Module::from_binary(engine, bytes).map_err(malformed)?;
        let mut linker = Linker::new(engine);
        wasi::link(&mut linker).map_err(|error| Error::Sandbox(error.to_string()))?;
        refuse_imports(&module)?;
        check_exports(&module)?;
        let instances = linker
            .instantiate_pre(&module)
            .map_err(|error| Error::Contract(format!("{error:#}")))?;
        Ok(Self {
            initialize: module.get_export("_initialize").is_some(),
            instances,
        })
    }

    pub(crate) fn start(&self, store: &mut Store<Guest>) -> wasmtime::Result<CoreInstance> {
        let instance = self.instances.instantiate(&mut *store)?;
        if self.initialize {
            let initialize = instance.get_typed_func::<(), ()>(&mut *store, "_initialize")?;
            initialize.call(&mut *store, ())?;
        }
        Ok(CoreInstance {
            memory: instance
                .get_memory(&mut *store, "memory")
                .ok_or_else(|| format_err!("`memory` is no memory"))?,
            allocate: instance.get_typed_func(&mut *store, "mr_alloc")?,
            evaluate: instance.get_typed_func(&mut *store, "mr_eval")?,
        })
    }
}

/// A started core module.
pub(crate) struct CoreInstance {
    memory: Memory,
    allocate: TypedFunc<u32, u32>,
    evaluate: TypedFunc<(u32, u32), u64>,
}

impl CoreInstance {
    pub(crate) fn eval(
        &self,
        store: &mut Store<Guest>,
        function: u32,
        arguments: &[Argument],
        rows: u32,
        result_bytes: usize,
    ) -> wasmtime::Result<Reply> {
        let columns = arguments.iter().map(Argument::passed).collect();
        let request = Request::new(function, rows, columns)
            .ok_or_else(|| format_err!("the arguments do not fit into its memory"))?;
        let bytes = request.bytes();
        let at = self.allocate.call(&mut *store, bytes as u32)?;
        if !at.is_multiple_of(8) {
            bail!("mr_alloc answered {at:#x}, which is not a multiple of 8");
        }
        let room = slice_of(self.memory.data_mut(&mut *store), at, bytes);
        let room = room.ok_or_else(|| {
            format_err!("mr_alloc answered {bytes} bytes at {at:#x}, outside its memory")
        })?;
        request.write(room);
        let result = self.evaluate.call(&mut *store, (at, bytes as u32))?;
        let (at, bytes) = ((result >> 32) as u32, (result & 0xffff_ffff) as usize);
        if bytes > result_bytes {
            bail!("a result of {bytes} bytes; the limit is {result_bytes}");
        }
        let block = slice_of(self.memory.data_mut(&mut *store), at, bytes);
        let block = block.ok_or_else(|| {
            format_err!("mr_eval answered {bytes} bytes at {at:#x}, outside its memory")
        })?;
        Reply::read(block).map_err(wasmtime::Error::msg)
    }
}

fn slice_of(memory: &mut [u8], at: u32, bytes: usize) -> Option<&mut [u8]> {
    memory.get_mut(at as usize..)?.get_mut(..bytes)
}

/// Names the first import that is no stand-in.
fn refuse_imports(module: &Module) -> Result<(), Error> {
    for import in module.imports() {
        if import.module() != wasi::MODULE || !wasi::FUNCTIONS.contains(&import.name()) {
            return Err(Error::Import {
                name: format!("{}.{}", import.module(), import.name()),
                allowed: format!("{} ({})", wasi::MODULE, wasi::FUNCTIONS.join(", ")),
            });
        }
    }
    Ok(())
}

fn check_exports(module: &Module) -> Result<(), Error> {
    if !matches!(module.get_export("memory"), Some(ExternType::Memory(_))) {
        return Err(Error::Contract("it exports no memory".to_owned()));
    }
    has_function(module, "mr_alloc", &[ValType::I32], &[ValType::I32])?;
    has_function(
        module,
        "mr_eval",
        &[ValType::I32, ValType::I32],
        &[ValType::I64],
    )?;
    if module.get_export("_initialize").is_some() {
        has_function(module, "_initialize", &[], &[])?;
    }
    Ok(())
}

fn has_function(
    module: &Module,
    name: &str,
    parameters: &[ValType],
    results: &[ValType],
) -> Result<(), Error> {
    let Some(ExternType::Func(function)) = module.get_export(name) else {
        return Err(Error::Contract(format!(
            "it exports neither millstream:udf/scalar@1.0.0 nor the core ABI's {name}"
        )));
    };
    let same = |actual: Vec<ValType>, expected: &[ValType]| {
        let mut pairs = actual.iter().zip(expected);
        actual.len() == expected.len() && pairs.all(|(a, b)| ValType::eq(a, b))
    };
    if !same(function.params().collect(), parameters)
        || !same(function.results().collect(), results)
    {
        return Err(Error::Contract(format!(
            "its {name} is {function} instead of {parameters:?} -> {results:?}"
        )));
    }
    Ok(())
}

//! Functions that are components: found, checked, started and called.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, Func, InstancePre, Linker, WasmStr};
use wasmtime::{Engine, Store, StoreContextMut, format_err};

use crate::argument::Argument;
use crate::contract::{PassedColumn, ReturnedColumn, WitError, WitSignature};
use crate::guest::Guest;
use crate::guest_log::{Level, printable};
use crate::{Error, Settings};

const PACKAGE: &str = "millstream:udf/";
const VERSION: &str = "@1.0.0";

/// A compiled component that exports `scalar` and imports nothing it may not.
pub(crate) struct ScalarComponent {
    instances: InstancePre<Guest>,
    describe: ComponentExportIndex,
    eval: ComponentExportIndex,
}

impl ScalarComponent {
    pub(crate) fn compile(
        engine: &Engine,
        bytes: &[u8],
        settings: &Settings,
    ) -> Result<Self, Error> {
        let component = Component::from_binary(engine, bytes).map_err(malformed)?;
        refuse_imports(engine, &component, settings)?;
        let scalar = format!("{PACKAGE}scalar{VERSION}");
        let export = |name: &str| {
            let scalar = component.get_export_index(None, &scalar)?;
            component.get_export_index(Some(&scalar), name)
        };
        let missing =
            |name: &str| Error::Contract(format!("{scalar} with `{name}` is not exported"));
        let describe = export("describe").ok_or_else(|| missing("describe"))?;
        let eval = export("eval").ok_or_else(|| missing("eval"))?;
        let linker = linker(engine).map_err(|error| Error::Sandbox(error.to_string()))?;
        let instances = linker
            .instantiate_pre(&component)
            .map_err(|error| Error::Contract(format!("{error:#}")))?;
        Ok(Self {
            instances,
            describe,
            eval,
        })
    }

    pub(crate) fn start(&self, store: &mut Store<Guest>) -> wasmtime::Result<ScalarInstance> {
        let instance = self.instances.instantiate(&mut *store)?;
        let mut function = |index: &ComponentExportIndex| {
            instance
                .get_func(&mut *store, index)
                .ok_or_else(|| format_err!("an export is no function"))
        };
        let (describe, eval) = (function(&self.describe)?, function(&self.eval)?);
        describe.typed::<(), (Vec<WitSignature>,)>(&*store)?;
        eval.typed::<Arguments<'static>, Outcome>(&*store)?;
        Ok(ScalarInstance { describe, eval })
    }
}

type Arguments<'a> = (u32, Vec<PassedColumn<'a>>, u32);
type Outcome = (Result<ReturnedColumn, WitError>,);

/// A started component.
pub(crate) struct ScalarInstance {
    describe: Func,
    eval: Func,
}

impl ScalarInstance {
    pub(crate) fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Vec<WitSignature>> {
        let describe = self.describe.typed::<(), (Vec<WitSignature>,)>(&*store)?;
        Ok(describe.call(store, ())?.0)
    }

    pub(crate) fn eval(
        &self,
        store: &mut Store<Guest>,
        function: u32,
        arguments: &[Argument],
        rows: u32,
    ) -> wasmtime::Result<Result<ReturnedColumn, WitError>> {
        let columns = arguments.iter().map(Argument::passed).collect();
        let eval = self.eval.typed::<Arguments<'_>, Outcome>(&*store)?;
        Ok(eval.call(store, (function, columns, rows))?.0)
    }
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    linker
        .instance(&format!("{PACKAGE}log{VERSION}"))?
        .func_wrap(
            "log",
            |mut store: StoreContextMut<'_, Guest>, (level, message): (Level, WasmStr)| {
                let message = printable(&message.to_str(&store)?);
                store.data_mut().log.line(level, &message);
                Ok(())
            },
        )?;
    linker
        .instance(&format!("{PACKAGE}clock{VERSION}"))?
        .func_wrap("epoch-time", |store: StoreContextMut<'_, Guest>, ()| {
            Ok((store.data().epoch_micros(),))
        })?;
    Ok(linker)
}

/// Names the first import that is neither given nor granted. `types` holds no function.
fn refuse_imports(
    engine: &Engine,
    component: &Component,
    settings: &Settings,
) -> Result<(), Error> {
    let granted: &[&str] = if settings.grant_clock {
        &["log", "clock"]
    } else {
        &["log"]
    };
    for (name, import) in component.component_type().imports(engine) {
        let interface = name
            .strip_prefix(PACKAGE)
            .and_then(|rest| rest.strip_suffix(VERSION));
        let allowed = matches!(import.ty, ComponentItem::ComponentInstance(_))
            && interface
                .is_some_and(|interface| interface == "types" || granted.contains(&interface));
        if !allowed {
            return Err(Error::Import {
                name: name.to_owned(),
                allowed: names(granted),
            });
        }
    }
    Ok(())
}

fn names(interfaces: &[&str]) -> String {
    let names: Vec<_> = interfaces
        .iter()
        .map(|interface| format!("{PACKAGE}{interface}"))
        .collect();
    names.join(" and ")
}

pub(crate) fn malformed(error: wasmtime::Error) -> Error {
    Error::Malformed(format!("{error:#}"))
}

//! `millstream function`: what a WASM module offers.

use anyhow::Result;
use plugin_host::PluginHost;
use runtime::{Clock, Tasks};
use serde::Serialize;

use crate::arguments::{Function, Global};
use crate::failure::{Exit, Failure};
use crate::output;

#[derive(Serialize)]
struct Row {
    function: String,
    arguments: Vec<String>,
    returns: String,
}

pub fn run(global: &Global, command: &Function) -> Result<()> {
    let Function::Check { file } = command;
    let shown = file.display();
    let bytes = std::fs::read(file).map_err(|why| {
        Failure::new(
            Exit::NotFound,
            "function.file",
            format!("{shown} cannot be read"),
        )
        .why(why)
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let tasks = Tasks::new(Clock::real());
        let refused = |why: plugin_host::Error| {
            Failure::new(Exit::Usage, "function.refused", format!("{shown} cannot be used as a function")).why(why).fix("see docs/wasm-functions.md")
        };
        let host = PluginHost::new(plugin_host::Settings::default(), &tasks).map_err(refused)?;
        let module = host.compile(&bytes).map_err(refused)?;
        let rows: Vec<_> = module
            .signatures()
            .iter()
            .map(|signature| Row {
                function: signature.name.clone(),
                arguments: signature.arguments.iter().map(ToString::to_string).collect(),
                returns: signature.returns.to_string(),
            })
            .collect();
        if rows.is_empty() {
            eprintln!("{shown} is a core module: its functions take the signatures that CREATE FUNCTION gives them");
        }
        output::rows(global.output, &rows, &["FUNCTION", "ARGUMENTS", "RETURNS"], |row| vec![row.function.clone(), row.arguments.join(", "), row.returns.clone()]);
        drop(host);
        tasks.stop(std::time::Duration::from_secs(2)).await;
        Ok(())
    })
}

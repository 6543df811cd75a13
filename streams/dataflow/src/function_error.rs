//! What a user's function could not compute, as operators see it.

/// A call of a user's function failed, for some rows of a batch or for all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("function {function}{} failed: {why}", in_module(.module))]
pub struct FunctionError {
    /// Name of the function.
    pub function: String,
    /// The module that holds it, by the first digits of its hash: which build of it failed.
    pub module: Option<String>,
    /// What happened, for the whole call.
    pub why: String,
    /// The rows at fault, by position in the batch of the call, ascending, with the reason for
    /// each. Without them the batch can be tried again; empty if no single row is at fault.
    pub rows: Vec<(usize, String)>,
}

impl FunctionError {
    /// What happened to the only row at fault, if it is one alone.
    pub fn only_row(&self) -> Option<String> {
        let [(_, why)] = self.rows.as_slice() else {
            return None;
        };
        Some(match &self.module {
            Some(module) => format!("module {module}: {why}"),
            None => why.clone(),
        })
    }
}

fn in_module(module: &Option<String>) -> String {
    let text = module.iter().map(|module| format!(" of module {module}"));
    text.collect()
}

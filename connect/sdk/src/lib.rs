//! What a connector author implements, and the few shapes that pass between a connector and
//! the runtime.

mod columns;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connector;
mod context;
mod description;
mod error;
mod finding;
mod nearest;
mod option_spec;
mod options;
mod positions;
mod records;
mod sink;
mod source;

pub use columns::{ColumnsError, columns_text, parse_columns};
pub use connector::{Connector, TaskCount, TaskOptions};
pub use context::Context;
pub use description::{Alias, Description, Guarantee, Kind, Means};
pub use error::{Error, ErrorKind};
pub use finding::{Finding, Severity};
pub use nearest::nearest;
pub use option_spec::{Importance, OptionKind, OptionSpec, parse_bytes, parse_duration};
pub use options::{MASK, Options, join_list, split_list};
pub use positions::{Object, Positions};
pub use records::{RawRecord, Records};
pub use sink::{Refused, Sink, SinkBatch, Takes, Token, TwoPhaseSink};
pub use source::{Poisoned, Source, SourceBatch};

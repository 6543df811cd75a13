//! Why a request about a connector was not carried out.

use connect_sdk::Finding;

use crate::broker::BrokerError;

/// Why a request about a connector was not carried out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no such connector.
    #[error("Connector {name} not found")]
    NotFound {
        /// Its name.
        name: String,
    },
    /// There is no such task.
    #[error("Unknown task: {name}-{task}")]
    NoTask {
        /// The connector.
        name: String,
        /// The task.
        task: usize,
    },
    /// Its positions can be changed only while it is stopped.
    #[error(
        "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
    )]
    NotStopped {
        /// Its name.
        name: String,
    },
    /// A connector of that name is there already.
    #[error("Connector {name} already exists")]
    Exists {
        /// Its name.
        name: String,
    },
    /// Somebody else has changed the connector since it was looked at.
    #[error("Connector {name} was changed meanwhile")]
    Changed {
        /// Its name.
        name: String,
    },
    /// The configuration cannot run. Every reason is there.
    #[error("Connector configuration is invalid and contains the following {} error(s):\n{}", findings.iter().filter(|finding| finding.is_error()).count(), errors(findings))]
    Invalid {
        /// Errors and warnings.
        findings: Vec<Finding>,
    },
    /// The request makes no sense.
    #[error("{message}")]
    Bad {
        /// One sentence.
        message: String,
    },
    /// The broker, which keeps the configurations, did not do its part.
    #[error("{0}")]
    Broker(#[from] BrokerError),
    /// The worker is stopping.
    #[error("the worker is stopping")]
    Closed,
}

fn errors(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.is_error());
    errors
        .map(Finding::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

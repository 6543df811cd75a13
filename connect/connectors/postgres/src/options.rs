//! The options, and what they mean together.

use std::time::Duration;

use connect_sdk::{Error, Importance, MASK, OptionKind, OptionSpec, Options};
use tokio_postgres::config::{Host, SslMode};

pub(crate) fn options() -> Vec<OptionSpec> {
    vec![
        OptionSpec::new(
            "url",
            OptionKind::Url,
            "Where the database is, as in postgres://user:password@host:5432/database.",
        )
        .required(),
        OptionSpec::new(
            "password",
            OptionKind::Secret,
            "The password, if it does not stand in the url.",
        ),
        OptionSpec::new(
            "table",
            OptionKind::Text,
            "The table to write to, with its schema if it is not in the search path.",
        )
        .required(),
        OptionSpec::new(
            "mode",
            OptionKind::Choice(&["insert", "upsert"]),
            "Whether a record is always a new row or takes the place of the row with its key.",
        )
        .default("insert")
        .importance(Importance::High),
        OptionSpec::new(
            "key",
            OptionKind::List,
            "The columns that tell rows apart in mode upsert; the table's primary key if it is not set.",
        ),
        OptionSpec::new(
            "table.create",
            OptionKind::Boolean,
            "Whether to make the table from schema if it is missing.",
        )
        .default("false"),
        OptionSpec::new(
            "schema",
            OptionKind::Columns,
            "The columns of a record, as in id BIGINT, name STRING. Without it they are the table's.",
        ),
        OptionSpec::new(
            "offsets.table",
            OptionKind::Text,
            "The table that holds the positions, made if it is missing.",
        )
        .default("millstream_offsets")
        .importance(Importance::Low),
        OptionSpec::new(
            "batch.rows",
            OptionKind::Integer {
                min: 1,
                max: 100_000,
            },
            "The most rows of one statement.",
        )
        .default("1000")
        .importance(Importance::Low)
        .group("Tuning"),
        OptionSpec::new(
            "timeout",
            OptionKind::Duration,
            "How long one statement, or connecting, may take.",
        )
        .default("60s")
        .importance(Importance::Low)
        .group("Tuning"),
    ]
}

/// Where the database is.
pub(crate) struct Address {
    pub(crate) config: tokio_postgres::Config,
    /// `host:port`.
    pub(crate) host: String,
}

/// Reads the url.
pub(crate) fn address(options: &Options) -> Result<Address, Error> {
    const SHAPE: &str = "write it as postgres://user:password@host:5432/database";
    let url = options.text("url").unwrap_or_default();
    let mut config: tokio_postgres::Config =
        url.parse().map_err(|error: tokio_postgres::Error| {
            // The parser's words may quote the url.
            let shown = error.to_string().replace(url, MASK);
            Error::config(format!("option url cannot be read: {shown}"), SHAPE)
        })?;
    if let Some(password) = options.text("password") {
        config.password(password);
    }
    config.application_name("millstream");
    if config.get_ssl_mode() == SslMode::Require {
        return Err(Error::config(
            "option url asks for TLS, which this connector does not speak yet",
            "use sslmode=disable",
        ));
    }
    let Some(Host::Tcp(host)) = config.get_hosts().first() else {
        return Err(Error::config(
            "option url names no host to reach by TCP",
            SHAPE,
        ));
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let host = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    Ok(Address { config, host })
}

pub(crate) fn timeout(options: &Options) -> Duration {
    options
        .duration("timeout")
        .unwrap_or(Duration::from_secs(60))
}

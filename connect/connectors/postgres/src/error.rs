//! What PostgreSQL's errors mean for a connector, by SQLSTATE.

use connect_sdk::{Error, ErrorKind};
use tokio_postgres::error::SqlState;

/// The kind of an error by its SQLSTATE.
pub(crate) fn kind(state: &SqlState) -> ErrorKind {
    let code = state.code();
    match code {
        // insufficient_privilege
        "42501" => return ErrorKind::Auth,
        // read_only_sql_transaction: a standby that will be, or was, the primary
        "25006" => return ErrorKind::Transient,
        _ => {}
    }
    match code.get(..2).unwrap_or_default() {
        // Data, constraints, cardinality: this row and no other.
        "21" | "22" | "23" | "44" => ErrorKind::Poison,
        "28" => ErrorKind::Auth,
        // Features, names, syntax, catalogue, schema.
        "0A" | "3D" | "3F" | "42" => ErrorKind::Config,
        // Connections, transactions rolled back, resources, locks, operators, the system.
        _ => ErrorKind::Transient,
    }
}

/// An error of PostgreSQL, or of the way to it, as the runtime understands it.
pub(crate) fn error(doing: &str, error: &tokio_postgres::Error) -> Error {
    let Some(database) = error.as_db_error() else {
        if error.to_string().contains("authentication")
            || error.to_string().contains("password missing")
        {
            return Error::auth(
                format!("{doing}: {}", words(error)),
                "check user and password in url",
            );
        }
        return Error::transient(format!("{doing}: {}", words(error)));
    };
    let message = format!(
        "{doing}: {} (SQLSTATE {})",
        database.message(),
        database.code().code()
    );
    match kind(database.code()) {
        ErrorKind::Poison => Error::poison(message),
        ErrorKind::Auth => Error::auth(
            message,
            "check user, password and privileges in the database",
        ),
        ErrorKind::Config => Error::config(
            message,
            database
                .hint()
                .unwrap_or("change the options or the database to fit each other"),
        ),
        _ => Error::transient(message),
    }
}

/// Why one row was refused.
pub(crate) fn refusal(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(database) => {
            let detail = database
                .detail()
                .map(|detail| format!(": {detail}"))
                .unwrap_or_default();
            format!(
                "{}{detail} (SQLSTATE {})",
                database.message(),
                database.code().code()
            )
        }
        None => words(error),
    }
}

/// The error with its cause: the outermost alone says little.
fn words(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, expected: ErrorKind) {
        assert_eq!(kind(&SqlState::from_code(code)), expected, "{code}");
    }

    #[test]
    fn the_class_tells_who_has_to_act() {
        check("22P02", ErrorKind::Poison);
        check("23505", ErrorKind::Poison);
        check("28P01", ErrorKind::Auth);
        check("42501", ErrorKind::Auth);
        check("42P01", ErrorKind::Config);
        check("3D000", ErrorKind::Config);
        check("40P01", ErrorKind::Transient);
        check("57P01", ErrorKind::Transient);
        check("53300", ErrorKind::Transient);
        check("55006", ErrorKind::Transient);
        check("25006", ErrorKind::Transient);
    }
}

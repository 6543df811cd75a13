//! What a connector says when it cannot go on. The runtime decides what follows from the kind.

use std::time::Duration;

/// Why a connector stopped, by what somebody can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The data itself cannot be handled, and trying again changes nothing.
    #[error("{message}")]
    Poison {
        /// One sentence, with the value if it is short.
        message: String,
    },
    /// The outside system may answer if asked again.
    #[error("{message}")]
    Transient {
        /// One sentence, with the address.
        message: String,
        /// When the outside system said to come back.
        retry_after: Option<Duration>,
    },
    /// An option, or something it names, is wrong. Somebody has to change it.
    #[error("{message}")]
    Config {
        /// One sentence, with the option's name.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The outside system does not let us in. Credentials may change without a restart.
    #[error("{message}")]
    Auth {
        /// One sentence, without the secret.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A newer owner has taken this task over. What this one holds no longer counts.
    #[error("{message}")]
    Fenced {
        /// One sentence about who took over, as far as it is known.
        message: String,
    },
}

/// The kinds of [`Error`], without what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// [`Error::Poison`]
    Poison,
    /// [`Error::Transient`]
    Transient,
    /// [`Error::Config`]
    Config,
    /// [`Error::Auth`]
    Auth,
    /// [`Error::Fenced`]
    Fenced,
}

impl Error {
    /// An [`Error::Poison`].
    pub fn poison(message: impl Into<String>) -> Self {
        Self::Poison {
            message: message.into(),
        }
    }

    /// An [`Error::Transient`] to be tried again when the runtime thinks best.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient {
            message: message.into(),
            retry_after: None,
        }
    }

    /// An [`Error::Config`] with what to do about it.
    pub fn config(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Config {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// An [`Error::Auth`] with what to do about it.
    pub fn auth(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Auth {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }

    /// An [`Error::Fenced`].
    pub fn fenced(message: impl Into<String>) -> Self {
        Self::Fenced {
            message: message.into(),
        }
    }

    /// The kind alone.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Poison { .. } => ErrorKind::Poison,
            Self::Transient { .. } => ErrorKind::Transient,
            Self::Config { .. } => ErrorKind::Config,
            Self::Auth { .. } => ErrorKind::Auth,
            Self::Fenced { .. } => ErrorKind::Fenced,
        }
    }

    /// What to do about it, if that is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Config { hint, .. } | Self::Auth { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

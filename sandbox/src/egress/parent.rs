//! The proxy of the daemon's own network.

/// Proxies as `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name them.
#[derive(Debug)]
pub struct ParentProxy {}

/// A variable names no proxy that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} names no proxy that can be used: {reason}")]
pub struct ParentError {
    /// Name of the variable.
    pub variable: String,
    /// What is wrong, without the value: that may hold a password.
    pub reason: String,
}

impl ParentProxy {
    /// Reads the variables, the lower-case form first. `None` without any.
    ///
    /// # Errors
    /// A value that cannot be used.
    pub fn from_env(_variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ParentError> {
        Ok(None)
    }
}

//! TLS to servers that the daemon itself has chosen.

use std::io;
use std::sync::OnceLock;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::ClientConfig;

/// Who is believed: the authorities of the machine. They are read once.
///
/// # Errors
/// There are none here, with the mend.
pub(super) fn config() -> io::Result<ClientConfig> {
    static CONFIG: OnceLock<Result<ClientConfig, String>> = OnceLock::new();
    CONFIG.get_or_init(read).clone().map_err(io::Error::other)
}

fn read() -> Result<ClientConfig, String> {
    let provider = rustls::crypto::ring::default_provider();
    let builder = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_native_roots()
        .map_err(|error| format!("no certificate authorities are known here ({error}); install ca-certificates"))?;
    Ok(builder.with_no_client_auth())
}

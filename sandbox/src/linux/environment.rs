//! The environment of a child that has a network of its own.

use std::ffi::OsString;

/// Variables that name a proxy, upper case. The daemon's own values must not stay: they lead nowhere from inside.
const PROXIES: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "FTP_PROXY",
    "RSYNC_PROXY",
    "GRPC_PROXY",
    "NO_PROXY",
    "NODE_USE_ENV_PROXY",
];
/// What is mapped into the sandbox is reached without the proxy.
const DIRECT: &str = "localhost,127.0.0.1,::1";

/// Makes programs use the proxy on a port of 127.0.0.1.
pub(super) fn use_proxy(env: &mut Vec<(OsString, OsString)>, port: u16) {
    env.retain(|(name, _)| {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        !PROXIES.contains(&upper.as_str())
    });
    // Also for what is neither: SOCKS would do as well, but many libraries fail at its mere name.
    let http = format!("http://127.0.0.1:{port}");
    for (name, value) in [
        ("HTTP_PROXY", http.as_str()),
        ("HTTPS_PROXY", &http),
        ("ALL_PROXY", &http),
        ("NO_PROXY", DIRECT),
    ] {
        env.push((name.into(), value.into()));
        env.push((name.to_ascii_lowercase().into(), value.into()));
    }
    // Node passes over the others without it.
    env.push(("NODE_USE_ENV_PROXY".into(), "1".into()));
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn the_proxies_of_the_daemon_are_replaced() {
        let mut env = vec![
            ("Https_Proxy".into(), "http://corp".into()),
            ("no_proxy".into(), "*".into()),
            ("HOME".into(), "/h".into()),
        ];
        use_proxy(&mut env, 3129);
        let expected = [
            ("HOME", "/h"),
            ("HTTP_PROXY", "http://127.0.0.1:3129"),
            ("http_proxy", "http://127.0.0.1:3129"),
            ("HTTPS_PROXY", "http://127.0.0.1:3129"),
            ("https_proxy", "http://127.0.0.1:3129"),
            ("ALL_PROXY", "http://127.0.0.1:3129"),
            ("all_proxy", "http://127.0.0.1:3129"),
            ("NO_PROXY", DIRECT),
            ("no_proxy", DIRECT),
            ("NODE_USE_ENV_PROXY", "1"),
        ];
        assert_eq!(env, expected.map(|(name, value)| (name.into(), value.into())));
    }
}

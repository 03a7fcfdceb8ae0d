//! The environment of a child whose way out is our proxy.

use std::ffi::OsString;

use crate::egress::Pass;

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

/// Makes programs use the proxy on a port of 127.0.0.1, with what they have to show there.
pub(crate) fn use_proxy(env: &mut Vec<(OsString, OsString)>, port: u16, pass: Option<&Pass>) {
    env.retain(|(name, _)| {
        let upper = name.to_string_lossy().to_ascii_uppercase();
        !PROXIES.contains(&upper.as_str())
    });
    let user = pass.map(|pass| format!("{}@", pass.user_info())).unwrap_or_default();
    // Also for what is neither: SOCKS would do as well, but many libraries fail at its mere name.
    let http = format!("http://{user}127.0.0.1:{port}");
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
        use_proxy(&mut env, 3129, None);
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

    #[test]
    fn a_pass_is_in_each_address() {
        let pass = Pass::new();
        let mut env = Vec::new();
        use_proxy(&mut env, 3128, Some(&pass));
        let user = pass.user_info();
        for (name, value) in env {
            let expected = match name.to_str().unwrap().to_ascii_uppercase().as_str() {
                "HTTP_PROXY" | "HTTPS_PROXY" | "ALL_PROXY" => format!("http://{user}@127.0.0.1:3128"),
                "NO_PROXY" => DIRECT.to_owned(),
                _ => "1".to_owned(),
            };
            assert_eq!(value, *expected, "{name:?}");
        }
    }
}

//! The environment of a program: exactly what is documented, and nothing of the starter's own.

use std::collections::BTreeSet;

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::daemon::{arguments_with, run};
use reveille_tests::ground::Ground;

use crate::{everybody, said};

/// In the starter's environment, and not for the program.
const SECRETS: &[(&str, &str)] = &[
    ("ANTHROPIC_API_KEY", "canary-5"),
    ("ANTHROPIC_AUTH_TOKEN", "canary-5"),
    ("CLAUDE_CODE_OAUTH_TOKEN", "canary-5"),
    ("REVEILLE_TOKEN", "canary-5"),
    ("GITHUB_TOKEN", "canary-5"),
    ("SECRET_THING", "canary-5"),
    ("LD_PRELOAD", "/canary-5"),
    ("NODE_OPTIONS", "--title=canary-5"),
    ("BASH_ENV", "/canary-5"),
    ("SSH_AUTH_SOCK", "/canary-5"),
    ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/canary-5"),
    ("XDG_RUNTIME_DIR", "/canary-5"),
];

/// The starter's way out: for a program with the same network, and for no other one.
const PROXY: &str = "http://127.0.0.1:9";

async fn names(ground: &Ground, options: &[&str]) -> Result<(BTreeSet<String>, String)> {
    let mut command = ground.confined(options, ["env", "-0"]);
    command.envs(SECRETS.iter().copied()).env("HTTPS_PROXY", PROXY);
    let told = said(run(command, "").await?)?;
    let names = told
        .split('\0')
        .filter_map(|one| one.split_once('='))
        .map(|(name, _)| name.to_owned());
    Ok((names.collect(), told))
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn w_16_r_sbx_50_52_the_environment_is_what_is_documented() -> Result<()> {
    everybody(async |ground| {
        let (open, told) = names(ground, &["--env", "GIVEN=by name"]).await?;
        assert!(
            told.contains(&format!("HTTPS_PROXY={PROXY}\0")) && !told.contains("canary-5"),
            "{told}"
        );
        assert!(
            told.contains("GIVEN=by name\0") && told.contains("LANG=C.UTF-8\0"),
            "{told}"
        );
        let certificates = [
            "CURL_CA_BUNDLE",
            "GIT_SSL_CAINFO",
            "NODE_EXTRA_CA_CERTS",
            "REQUESTS_CA_BUNDLE",
            "SSL_CERT_DIR",
            "SSL_CERT_FILE",
        ];
        let (of_certificates, rest): (BTreeSet<_>, BTreeSet<_>) =
            open.into_iter().partition(|name| certificates.contains(&name.as_str()));
        assert_eq!(
            rest,
            set(&["GIVEN", "HOME", "HTTPS_PROXY", "LANG", "NO_PROXY", "PATH", "no_proxy"]),
            "{of_certificates:?}"
        );
        for network in ["proxied", "restricted"] {
            let (names, told) = names(ground, &["--network", network]).await?;
            let rest: BTreeSet<_> = names.difference(&of_certificates).cloned().collect();
            let proxies = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];
            let mut expected = set(&["HOME", "LANG", "PATH", "NODE_USE_ENV_PROXY"]);
            expected.extend(set(&proxies));
            expected.extend(proxies.iter().map(|name| name.to_ascii_lowercase()));
            assert_eq!(rest, expected, "{network}");
            assert!(!told.contains("canary-5") && !told.contains(PROXY), "{told}");
            for proxy in [
                "HTTPS_PROXY=http://127.0.0.1:3128\0",
                "all_proxy=http://127.0.0.1:3128\0",
            ] {
                assert!(told.contains(proxy), "{told}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn r_sbx_50_no_secret_is_in_an_argument_or_an_environment_that_can_be_read_inside() -> Result<()> {
    everybody(async |ground| {
        let script = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; cat /proc/self/mountinfo; true";
        let mut command = ground.confined(&["--env", "GIVEN=canary-6"], ["sh", "-c", script]);
        command.envs(SECRETS.iter().copied());
        let told = said(run(command, "").await?)?;
        assert!(
            told.contains("GIVEN=canary-6"),
            "its own environment can be read: {told}"
        );
        assert!(!told.contains("canary-5"), "{told}");
        Ok(())
    })
    .await
}

/// Outside, everybody can list arguments.
#[tokio::test]
async fn w_11_what_is_given_is_in_no_argument_outside() -> Result<()> {
    everybody(async |ground| {
        let mark = uuid::Uuid::new_v4().to_string();
        let mut child = ground.begin(&["--env", &format!("MARK={mark}")], ["cat"])?;
        // It runs when it answers.
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        stdin.write_all(b"here").await?;
        stdout.read_exact(&mut [0; 4]).await?;
        // The person gave it as an argument to the command itself, and it went no further.
        assert_eq!(arguments_with(&mark)?, [child.id().unwrap()]);
        drop(stdin);
        assert!(child.wait().await?.success());
        Ok(())
    })
    .await
}

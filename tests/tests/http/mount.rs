//! Below a mount and behind a proxy: the same doors, and an address that only a believed proxy has a say in.

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::Daemon;
use reveille_tests::daemon::{Answer, LIMIT};
use reveille_tests::eventually;

use super::{text, with_eng, works};

const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp/eng";

async fn mounted(believed: &str) -> Result<Daemon> {
    let config = format!("[server]\nmount = \"/reveille\"\ntrusted_proxies = [{believed}]\n");
    let daemon = Daemon::builder().stand_in().config(&config).start().await?;
    daemon.create_agent("eng", "You are an engineer.").await?;
    Ok(daemon)
}

/// Status and body.
fn shown(answer: &Answer) -> (u16, String) {
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

/// The address that the document for clients of MCP tells.
async fn resource(daemon: &Daemon, target: &str, headers: &[(&str, &str)]) -> Result<String> {
    let answer = daemon.ask("GET", target, headers, b"").await?;
    ensure!(answer.status == 200, "{target} {headers:?}: {:?}", shown(&answer));
    Ok(text(&answer.json()?, "resource").to_owned())
}

#[tokio::test]
async fn r_http_30_every_door_is_below_the_mount_too() -> Result<()> {
    let daemon = mounted("").await?;
    // Its note does not change between two looks.
    eventually("the note says how the agent stands", LIMIT, async || {
        let note = daemon.note("Agents/eng").await?.context("the note")?;
        Ok((note["metadata"]["status"] == "enabled").then_some(()))
    })
    .await?;
    let bearer = daemon.bearer();
    for (method, target) in [
        ("GET", "/health"),
        ("GET", "/"),
        ("GET", "/favicon.svg"),
        ("GET", "/api/agents"),
        ("GET", "/api/agents/eng"),
        ("GET", "/api/agents/nobody"),
        ("DELETE", "/api/agents"),
        ("GET", "/api/channels/eng/messages"),
        ("GET", "/vault/default/api/notes?path=Agents%2Feng"),
        ("GET", "/vault/nowhere/api/notes"),
        ("GET", "/assets/../token"),
        ("GET", "/nothing"),
        ("POST", "/api/vault/inbound"),
    ] {
        for headers in [
            &[][..],
            &[(bearer.0, bearer.1.as_str())],
            &[("authorization", "Bearer guess")],
        ] {
            let plain = daemon.ask(method, target, headers, b"").await?;
            let below = daemon.ask(method, &format!("/reveille{target}"), headers, b"").await?;
            assert_eq!(shown(&below), shown(&plain), "{method} {target}");
            assert_eq!(below.header("allow"), plain.header("allow"), "{method} {target}");
            assert_eq!(
                below.header("www-authenticate"),
                plain.header("www-authenticate"),
                "{target}"
            );
        }
    }
    // The mount is one step, whole and once.
    for target in [
        "/reveillex/health",
        "/reveill/health",
        "/REVEILLE/health",
        "/%72eveille/health",
        "/reveille//health",
        "//reveille/health",
        "/reveille/reveille/health",
        "/reveille/../health",
        "/reveille/%2e%2e/health",
        "/reveille%2fhealth",
        "/reveille\\health",
    ] {
        let answer = daemon.ask_in("GET", target, b"").await?;
        assert_eq!(answer.status, 404, "{target}");
    }
    // A browser is sent to the page by a path of its own server, wherever that is.
    let bare = daemon.ask("GET", "/reveille", &[], b"").await?;
    ensure!((300..400).contains(&bare.status), "{}", bare.status);
    let location = bare.header("location").context("where to")?;
    ensure!(!location.contains("//") && !location.starts_with('/'), "{location}");
    works(&daemon).await
}

#[tokio::test]
async fn r_http_30_without_a_mount_there_is_none() -> Result<()> {
    let daemon = with_eng().await?;
    for target in ["/reveille/health", "/reveille/", "/agent/health"] {
        assert_eq!(daemon.ask_in("GET", target, b"").await?.status, 404, "{target}");
    }
    Ok(())
}

/// The words of a proxy, from one that is nobody's.
const FORWARDED: [(&str, &str); 8] = [
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-host", "evil.example:443"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-for", "127.0.0.1"),
    ("forwarded", "host=evil.example;proto=https;for=127.0.0.1"),
    ("x-original-url", "/api/agents"),
    ("x-rewrite-url", "/api/agents"),
];

#[tokio::test]
async fn r_mcp_1_2_who_is_no_believed_proxy_has_no_say_in_our_address() -> Result<()> {
    for believed in ["", "\"10.1.2.3\"", "\"127.0.0.2\""] {
        let daemon = mounted(believed).await?;
        let plain = resource(&daemon, RESOURCE, &[]).await?;
        assert_eq!(plain, format!("http://{}/mcp/eng", daemon.authority()?));
        let challenge = daemon.ask("POST", "/mcp/eng", &[], b"{}").await?;
        let (name, bearer) = daemon.bearer();
        for header in FORWARDED {
            assert_eq!(resource(&daemon, RESOURCE, &[header]).await?, plain, "{header:?}");
            let answer = daemon.ask("POST", "/mcp/eng", &[header], b"{}").await?;
            assert_eq!(shown(&answer), shown(&challenge), "{header:?}");
            assert_eq!(answer.header("www-authenticate"), challenge.header("www-authenticate"));
            let link = daemon
                .ask("POST", "/api/sign-in-links", &[(name, &bearer), header], b"")
                .await?;
            ensure!(!shown(&link).1.contains("evil"), "{header:?}: {:?}", shown(&link));
            // Nor does it make a stranger somebody, or another host ours.
            assert_eq!(
                daemon
                    .ask("GET", "/health", &[header, ("host", "evil.example")], b"")
                    .await?
                    .status,
                421
            );
            assert_eq!(
                daemon.ask("GET", "/api/agents", &[header], b"").await?.status,
                401,
                "{header:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn r_mcp_2_2_a_believed_proxy_says_where_we_are_and_nothing_else() -> Result<()> {
    let daemon = mounted("\"127.0.0.1\"").await?;
    let https = ("x-forwarded-proto", "https");
    for (host, expected) in [
        ("hub.example", "https://hub.example/reveille/mcp/eng"),
        ("hub.example:8443", "https://hub.example:8443/reveille/mcp/eng"),
        ("[::1]:1939", "https://[::1]:1939/reveille/mcp/eng"),
    ] {
        let told = resource(&daemon, RESOURCE, &[("x-forwarded-host", host), https]).await?;
        assert_eq!(told, expected);
    }
    let plain = resource(&daemon, RESOURCE, &[]).await?;
    let long = "a".repeat(3000);
    for host in [
        "",
        " ",
        "a\"b",
        "a/b",
        "a b",
        "a\\b",
        "user@evil.example",
        "evil.example?x",
        "evil.example#x",
        "<script>",
        "evil.example:port",
        "evil.example:99999",
        "javascript:alert(1)",
        "%65vil.example",
        "a,",
        long.as_str(),
    ] {
        for target in [RESOURCE, "/mcp/eng/.well-known/oauth-protected-resource"] {
            let told = resource(&daemon, target, &[("x-forwarded-host", host), https]).await?;
            let url = url::Url::parse(&told).with_context(|| told.clone())?;
            ensure!(told == plain || url.host_str() == Some("a"), "{host:?}: {told}");
            ensure!(
                url.username().is_empty() && url.query().is_none() && url.fragment().is_none(),
                "{told}"
            );
        }
        let headers = [("x-forwarded-host", host), https];
        let answer = daemon.ask("POST", "/mcp/eng", &headers, b"{}").await?;
        ensure!(answer.status < 500, "{host:?}: {}", answer.status);
        for (name, value) in &answer.headers {
            ensure!(
                !value.contains("script") && !value.contains("evil"),
                "{host:?}: {name}: {value}"
            );
        }
    }
    for proto in ["javascript", "file", "", "https://", "HTTPS, http"] {
        let headers = [("x-forwarded-host", "hub.example"), ("x-forwarded-proto", proto)];
        let told = resource(&daemon, RESOURCE, &headers).await?;
        ensure!(
            [
                "http://hub.example/reveille/mcp/eng",
                "https://hub.example/reveille/mcp/eng"
            ]
            .contains(&told.as_str()),
            "{proto:?}: {told}"
        );
    }
    // The host that a browser names is checked all the same.
    let hosts = [("host", "hub.example"), ("x-forwarded-host", "hub.example")];
    assert_eq!(daemon.ask("GET", "/health", &hosts, b"").await?.status, 421);
    assert_eq!(
        daemon
            .ask("GET", "/api/agents", &[("x-forwarded-host", "hub.example")], b"")
            .await?
            .status,
        401
    );
    Ok(())
}

#[tokio::test]
async fn r_mcp_2_documents_are_the_same_in_both_forms_and_for_any_name() -> Result<()> {
    let daemon = mounted("").await?;
    for kind in ["oauth-protected-resource", "oauth-authorization-server"] {
        for (name, encoded) in [
            ("eng", "eng"),
            ("nobody", "nobody"),
            ("a\"<b>", "a%22%3Cb%3E"),
            ("ä", "%C3%A4"),
        ] {
            let inserted = daemon
                .ask("GET", &format!("/.well-known/{kind}/mcp/{encoded}"), &[], b"")
                .await?;
            let appended = daemon
                .ask("GET", &format!("/mcp/{encoded}/.well-known/{kind}"), &[], b"")
                .await?;
            assert_eq!(
                (inserted.status, shown(&inserted)),
                (200, shown(&appended)),
                "{kind} {name}"
            );
            let told = inserted.json()?;
            if kind.ends_with("resource") {
                let expected = format!("http://{}/mcp/{encoded}", daemon.authority()?);
                assert_eq!(text(&told, "resource").to_lowercase(), expected.to_lowercase());
            }
            // Pages of other sites may read them: they hold nothing.
            assert_eq!(inserted.header("access-control-allow-origin"), Some("*"));
            // A channel that there is looks like one that there is not.
            let other = daemon
                .ask("GET", &format!("/.well-known/{kind}/mcp/other"), &[], b"")
                .await?;
            assert_eq!(
                shown(&other).1.replace("/mcp/other", "/mcp/"),
                shown(&inserted).1.replace(&format!("/mcp/{encoded}"), "/mcp/")
            );
        }
    }
    Ok(())
}

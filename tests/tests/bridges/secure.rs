//! Over TLS: whom the daemon trusts is the system's matter, or that of `SSL_CERT_FILE`. Who has no certificate of theirs is told
//! nothing, and that is seen.

use std::net::SocketAddr;

use anyhow::Result;
use pretty_assertions::assert_eq;
use reveille_tests::tls::{Authority, TlsListener};
use reveille_tests::{Receiver, eventually};
use serde_json::json;

use super::api::{Api, TOKEN};
use super::*;

const SECRET: &str = "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

fn free() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// The one bridge or webhook of a daemon.
async fn only(daemon: &Daemon) -> Result<Value> {
    let listed: Value = daemon.request(Method::GET, &["api", "bridges"], None).await?.ok()?;
    Ok(listed["bridges"][0].clone())
}

/// Waits until it is tried again, for a reason with this in it.
async fn until_refused(daemon: &Daemon, reason: &str) -> Result<Value> {
    let mut last = Value::Null;
    let what = format!("it is told: {reason}");
    let told = eventually(&what, LIMIT, async || {
        last = only(daemon).await?;
        let told = last["error"].as_str().is_some_and(|error| error.contains(reason));
        Ok((last["state"] == "retrying" && told).then(|| last.clone()))
    });
    let told = told.await;
    told.with_context(|| last.to_string())
}

/// Opens the same address again, with another certificate.
async fn again(at: SocketAddr, authority: &Authority, names: &str, days: i32) -> Result<Receiver> {
    let server = authority.server(names, days)?;
    eventually("the address is free", LIMIT, async || {
        Ok(Receiver::start_tls(at, server.clone()).await.ok()) // silent-ok: the last connection may not be over
    })
    .await
}

#[tokio::test]
async fn a_receiver_with_a_wrong_certificate_is_told_nothing_until_it_has_a_right_one() -> Result<()> {
    let (trusted, other) = (Authority::new()?, Authority::new()?);
    let receiver = Receiver::start_tls(free(), other.server("DNS:localhost, IP:127.0.0.1", 30)?).await?;
    let at = receiver.address();
    let config = format!(
        "[[webhook]]\nname = \"ci\"\nurl = \"https://localhost:{}/hook\"\nsecret = \"${{HOOK}}\"\n\
         events = [\"turn.settled\"]\nallow = {{ private = true }}\n",
        at.port()
    );
    let daemon = Daemon::builder()
        .stand_in()
        .env("HOOK", SECRET)
        .env("SSL_CERT_FILE", trusted.file())
        .config(&config)
        .start()
        .await?;
    daemon.create_agent("eng", "You build.").await?;
    let sent = daemon.send("eng", "hello").await?;
    let turn = daemon.wait_turn("eng", &sent).await?;
    // Of an authority that nobody here trusts.
    let told = until_refused(&daemon, "UnknownIssuer").await?;
    assert!(told["next_try_at"].is_string() && told["waiting"] == 1, "{told}");
    let figures = String::from_utf8(daemon.ask_in("GET", "/metrics", b"").await?.body)?;
    let figure = "reveille_bridge_state{bridge=\"webhook/ci\",state=\"retrying\"} 1";
    assert!(figures.contains(figure), "{figures}");
    assert_eq!(receiver.told().len(), 0);
    drop(receiver);
    // For another name; and one that has ended.
    let receiver = again(at, &trusted, "DNS:other.test", 30).await?;
    until_refused(&daemon, "not valid for name").await?;
    assert_eq!(receiver.told().len(), 0);
    drop(receiver);
    let receiver = again(at, &trusted, "DNS:localhost", -1).await?;
    until_refused(&daemon, "certificate").await?;
    until_refused(&daemon, "alid").await?;
    assert_eq!(receiver.told().len(), 0);
    drop(receiver);

    let receiver = again(at, &trusted, "DNS:localhost", 30).await?;
    post(&daemon, &["api", "bridges", "webhook/ci", "redrive"], &json!({}))
        .await?
        .ok::<Value>()?;
    let told = eventually("it is told", LIMIT, async || Ok(receiver.told().into_iter().next())).await?;
    assert_eq!(told.header("webhook-id"), format!("settled_{}", turn.turn));
    let headers: http::HeaderMap = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .into_iter()
        .map(|name| Ok((http::HeaderName::from_static(name), told.header(name).parse()?)))
        .collect::<Result<_>>()?;
    standardwebhooks::Webhook::new(SECRET)?.verify(told.body.as_bytes(), &headers)?;
    eventually("it is up", LIMIT, async || {
        let one = only(&daemon).await?;
        Ok((one["state"] == "up" && one["waiting"] == 0).then_some(()))
    })
    .await
}

#[tokio::test]
async fn where_no_authority_is_known_it_is_told_why_and_agents_work_all_the_same() -> Result<()> {
    let none = Authority::new()?.file();
    for config in [
        "[[webhook]]\nname = \"ci\"\nurl = \"https://localhost:1/\"\nsecret = \"${HOOK}\"\nallow = { private = true }\n",
        "[[transport]]\nname = \"tg\"\nkind = \"telegram\"\nagent = \"eng\"\ntoken = \"${BOT}\"\n",
    ] {
        let daemon = Daemon::builder()
            .stand_in()
            .env("HOOK", SECRET)
            .env("BOT", TOKEN)
            .env("SSL_CERT_FILE", &none)
            .config(config)
            .start()
            .await?;
        let told = until_refused(&daemon, "no certificate authorities").await?;
        assert!(
            told["error"]
                .as_str()
                .is_some_and(|error| error.contains("SSL_CERT_FILE")),
            "it says what to do: {told}"
        );
        daemon.create_agent("eng", "You build.").await?;
        let sent = daemon.send("eng", "hello").await?;
        let turn = daemon.wait_turn("eng", &sent).await?;
        assert!(turn.reply.is_some(), "{turn:?}");
    }
    Ok(())
}

/// A bot behind a server of the Bot API that has a certificate of `authority`.
async fn with_bot(authority: &Authority, trusts: &Authority) -> Result<(Api, Daemon)> {
    let listener = TlsListener::bind(free(), authority.server("DNS:localhost, IP:127.0.0.1", 30)?).await?;
    let api = Api::serve(listener, "https");
    let config = format!(
        "[[transport]]\nname = \"tg\"\nkind = \"telegram\"\nagent = \"eng\"\ntoken = \"${{BOT}}\"\napi_base = \"{}\"\n\
         require_access_file = false\n",
        api.base
    );
    let daemon = Daemon::builder()
        .stand_in()
        .env("BOT", TOKEN)
        .env("SSL_CERT_FILE", trusts.file())
        .config(&config)
        .start()
        .await?;
    daemon.create_agent("eng", "You build.").await?;
    Ok((api, daemon))
}

#[tokio::test]
async fn a_bot_is_asked_over_tls_and_no_server_gets_its_token_that_is_not_trusted() -> Result<()> {
    let (trusted, other) = (Authority::new()?, Authority::new()?);
    let (api, daemon) = with_bot(&trusted, &trusted).await?;
    api.text(42, 1, "[[reply over tls]]");
    eventually("the answer", LIMIT, async || {
        Ok((api.texts() == ["over tls"]).then_some(()))
    })
    .await?;
    assert_eq!(only(&daemon).await?["state"], "up");

    let (api, daemon) = with_bot(&other, &trusted).await?;
    api.text(42, 1, "hello");
    let told = until_refused(&daemon, "UnknownIssuer").await?;
    let secret = TOKEN.split_once(':').context("a token")?.1;
    assert!(!told.to_string().contains(secret), "{told}");
    assert_eq!(api.lock().polls, 0);
    assert_eq!(api.lock().calls.len(), 0);
    assert_eq!(daemon.wait_quiet(LIMIT).await?.inbound().count(), 0);
    Ok(())
}

//! Triggers: every event gets to its receiver, at least once and in order, whatever the receiver or the daemon does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

mod answers;
mod crashes;
mod delivery;
mod door;

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use reveille_tests::daemon::{Builder, LIMIT};
use reveille_tests::{Daemon, Receiver, Told, eventually};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpSocket;

/// Pauses between attempts, instead of those of a day.
const PAUSES: &str = "20ms,20ms,20ms,20ms,20ms,20ms,20ms,20ms";

fn with_short_pauses() -> Builder {
    Daemon::builder()
        .stand_in()
        .env("REVEILLE_TRIGGERS__RETRY_PAUSES", PAUSES)
}

/// Something at the triggers of the vault; `tail` are the segments behind them.
async fn ask(daemon: &Daemon, method: Method, tail: &[&str], body: Option<&Value>) -> Result<(u16, Value)> {
    let path = [&["vault", "default", "api", "triggers"], tail].concat();
    let reply = daemon.request(method, &path, body).await?;
    Ok((reply.status, reply.body))
}

/// Registers a trigger for all notes; answers its signing secret.
async fn register(daemon: &Daemon, name: &str, events: &[&str], webhook: &str) -> Result<String> {
    let new = json!({"name": name, "events": events, "action": {"webhook": webhook}});
    let (status, made) = ask(daemon, Method::POST, &[], Some(&new)).await?;
    ensure!(status == 201, "{status} {made}");
    Ok(made["secret"].as_str().context("a secret")?.to_owned())
}

async fn show(daemon: &Daemon, name: &str) -> Result<Value> {
    Ok(ask(daemon, Method::GET, &[name], None).await?.1)
}

/// Deliveries of a trigger, the oldest first.
async fn deliveries(daemon: &Daemon, name: &str) -> Result<Vec<Value>> {
    let target = format!("/vault/default/api/triggers/{name}/deliveries?limit=1000");
    let page = daemon.ask_in("GET", &target, b"").await?.json()?;
    let mut all = page["deliveries"].as_array().context("a list")?.clone();
    all.reverse();
    Ok(all)
}

/// Waits until a trigger's deliveries are in these states, the oldest first.
async fn wait_states(daemon: &Daemon, name: &str, states: &[&str]) -> Result<Vec<Value>> {
    eventually(&format!("the deliveries are {states:?}"), LIMIT, async || {
        let all = deliveries(daemon, name).await?;
        let now: Vec<&str> = all.iter().map(|one| one["state"].as_str().unwrap_or("-")).collect();
        Ok((now == states).then(|| all.clone()))
    })
    .await
}

/// Waits until so many requests for a path have come, and answers all of them.
async fn wait_told(receiver: &Receiver, path: &str, count: usize) -> Result<Vec<Told>> {
    eventually(&format!("{count} requests for {path}"), LIMIT, async || {
        let told = receiver.told_at(path);
        Ok((told.len() >= count).then_some(told))
    })
    .await
}

/// A port at which nobody answers, and which nobody else gets as long as it is kept.
fn nobody() -> Result<(TcpSocket, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// What is told: `event path`, and the text.
fn gist(told: &Told) -> String {
    let body = told.json();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let note = &body["note"];
    format!(
        "{} {} {}",
        text(&body["event"]),
        text(&note["path"]),
        text(&note["content"])
    )
}

/// Whether the signature is what Standard Webhooks says, worked out from its text.
fn is_signed(told: &Told, secret: &str) -> Result<bool> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").context("a prefix")?)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
    let (id, at) = (told.header("webhook-id"), told.header("webhook-timestamp"));
    mac.update(format!("{id}.{at}.{}", told.body).as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    Ok(told.header("webhook-signature") == expected)
}

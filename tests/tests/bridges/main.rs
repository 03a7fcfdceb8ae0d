//! Bridges through the compiled daemon: pages, sessions of Claude Code behind the stdio bridge, and what is configured wrongly.
//! Names follow the requirements R-UI and R-BR.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![forbid(unsafe_code)]

// The Bot API that the bridge's own tests have.
#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../../../transports/tests/telegram/api.rs"]
mod api;
mod channels;
mod configured;
mod files;
mod hooks;
mod kills;
mod map;
// The one that the other tests of MCP have.
#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../mcp_daemon/official.rs"]
mod mcp_client;
mod official;
mod pages;
mod reader;
mod secure;
mod sessions;
mod stdio;
mod subscriptions;
mod telegram;
mod webhook_news;
mod webhook_turns;
mod webhooks;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::StreamExt as _;
use http::Method;
use reveille_tests::daemon::{Builder, Daemon, LIMIT, Reply};
use serde_json::{Value, json};

/// Two channels for pages: one with an agent of its name, one whose name no agent has.
const CHANNELS: &str =
    "[[transport]]\nname = \"eng\"\nkind = \"http-ui\"\n\n[[transport]]\nname = \"ui1\"\nkind = \"http-ui\"\n";

fn stand_in() -> Builder {
    Daemon::builder().stand_in().config(CHANNELS)
}

async fn post(daemon: &Daemon, path: &[&str], body: &Value) -> Result<Reply> {
    daemon.request(Method::POST, path, Some(body)).await
}

/// Status and code of a refusal, which has words for a person.
fn refused(reply: &Reply) -> (u16, &str) {
    let words = reply.body["message"].as_str().unwrap_or_default();
    assert!(words.len() > 10, "{}", reply.body);
    (reply.status, reply.body["error"].as_str().unwrap_or_default())
}

/// A token with these scopes.
async fn token(daemon: &Daemon, scopes: &[&str]) -> Result<String> {
    let made = post(
        daemon,
        &["api", "tokens"],
        &json!({ "scopes": scopes, "label": "test" }),
    )
    .await?;
    let token = made.body["token"].as_str().with_context(|| made.body.to_string())?;
    Ok(token.to_owned())
}

async fn ticket(daemon: &Daemon, path: &str) -> Result<String> {
    let made = post(daemon, &["api", "ui", "sse-ticket"], &json!({ "path": path })).await?;
    let ticket = made.body["ticket"].as_str().with_context(|| made.body.to_string())?;
    Ok(ticket.to_owned())
}

/// An open stream of frames.
struct Frames {
    body: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

/// Opens a stream; `token`: as a bearer.
async fn open(daemon: &Daemon, target: &str, token: Option<&str>) -> Result<std::result::Result<Frames, u16>> {
    let mut request = reqwest::Client::new().get(daemon.url().join(target)?);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await?;
    if !response.status().is_success() {
        return Ok(Err(response.status().as_u16()));
    }
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    ensure!(
        header("content-type") == Some("text/event-stream") && header("cache-control") == Some("no-cache, no-store")
    );
    let mut frames = Frames {
        body: response.bytes_stream().boxed(),
        text: String::new(),
    };
    ensure!(
        frames.block().await?.as_deref() == Some(": connected"),
        "the first bytes"
    );
    Ok(Ok(frames))
}

impl Frames {
    /// What stands before the next empty line; `None` at the end.
    async fn block(&mut self) -> Result<Option<String>> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Ok(Some(block));
            }
            let next = tokio::time::timeout(LIMIT, self.body.next())
                .await
                .context("nothing comes")?;
            match next {
                Some(bytes) => self.text.push_str(std::str::from_utf8(&bytes?)?),
                None => return Ok(None),
            }
        }
    }

    /// The next event; `None` at the end.
    async fn next_or_end(&mut self) -> Result<Option<(String, Value)>> {
        while let Some(block) = self.block().await? {
            if block.starts_with(':') {
                continue;
            }
            let Some((event, data)) = block.split_once('\n') else {
                bail!("no frame: {block:?}");
            };
            let event = event.strip_prefix("event: ").with_context(|| block.clone())?;
            let data = data.strip_prefix("data: ").with_context(|| block.clone())?;
            return Ok(Some((event.to_owned(), serde_json::from_str(data)?)));
        }
        Ok(None)
    }

    async fn next(&mut self) -> Result<(String, Value)> {
        self.next_or_end().await?.context("the stream has ended")
    }
}

/// Waits until a channel for pages works: the daemon answers a moment before that, and until then nothing can be said on it.
async fn until_up(daemon: &Daemon, channel: &str) -> Result<()> {
    reveille_tests::eventually(&format!("{channel} is up"), LIMIT, async || {
        let one = webhooks::bridge(daemon, channel).await?;
        Ok((one["state"] == "up").then_some(()))
    })
    .await
}

/// Listens as a page does.
async fn page(daemon: &Daemon, channel: &str) -> Result<Frames> {
    let ticket = ticket(daemon, &format!("/ui/events?channel={channel}")).await?;
    let opened = open(daemon, &format!("/ui/events?channel={channel}&ticket={ticket}"), None).await?;
    opened.map_err(|status| anyhow::anyhow!("refused with {status}"))
}

/// Listens as a session does.
async fn session(daemon: &Daemon, channel: &str) -> Result<Frames> {
    let opened = open(daemon, &format!("/events?channel={channel}"), Some(daemon.token())).await?;
    opened.map_err(|status| anyhow::anyhow!("refused with {status}"))
}

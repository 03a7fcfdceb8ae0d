use std::collections::VecDeque;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Response;
use serde_json::Value;
use tokio::time::Instant;

use super::{Daemon, LIMIT};

/// One server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// For `Last-Event-ID`.
    pub id: Option<String>,
    /// `turn`, `agent`, `resync`, `unauthorized`, `ping`, `shutdown`.
    pub event: String,
    /// `Null` when the event has no data.
    pub data: Value,
}

impl Event {
    /// The kind of a turn event.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.data["kind"].as_str().unwrap_or_default()
    }

    /// Whether this is the last event of a turn.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.event == "turn" && matches!(self.kind(), "done" | "error" | "stopped")
    }
}

/// The live events of one agent.
#[derive(Debug)]
pub struct EventStream {
    response: Response,
    parser: Parser,
    last_id: Option<String>,
}

impl Daemon {
    /// Opens the live events of an agent: those of the turn that runs, then all new ones.
    ///
    /// # Errors
    /// When the daemon refuses or does not begin with `: connected`.
    pub async fn events(&self, agent: &str) -> Result<EventStream> {
        self.stream(&of(agent), None, self.token()).await
    }

    /// Opens the live events that follow an id.
    ///
    /// # Errors
    /// As [`Daemon::events`].
    pub async fn events_after(&self, agent: &str, last_id: &str) -> Result<EventStream> {
        self.stream(&of(agent), Some(last_id), self.token()).await
    }

    /// Opens any stream of events, such as `/api/events?channels=a,b`, with a token of one's own.
    ///
    /// # Errors
    /// As [`Daemon::events`].
    pub async fn stream(&self, target: &str, last_id: Option<&str>, token: &str) -> Result<EventStream> {
        let mut request = self
            .http
            .get(self.url().join(target)?)
            .bearer_auth(token)
            .header("accept", "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await?;
        ensure!(response.status().is_success(), "{target}: {}", response.status());
        let mut stream = EventStream {
            response,
            parser: Parser::default(),
            last_id: last_id.map(str::to_owned),
        };
        let deadline = Instant::now() + LIMIT;
        while stream.parser.first_line.is_none() {
            ensure!(stream.read(deadline).await?, "{target} ended before it began");
        }
        let first = stream.parser.first_line.as_deref();
        ensure!(first == Some(": connected"), "{target} begins with {first:?}");
        Ok(stream)
    }
}

/// The address of an agent's events.
fn of(agent: &str) -> String {
    let agent = percent_encoding::utf8_percent_encode(agent, percent_encoding::NON_ALPHANUMERIC);
    format!("/api/channels/{agent}/turn-events")
}

impl EventStream {
    /// The id to reconnect with.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The next event that is no `ping`.
    ///
    /// # Errors
    /// When the stream ends or nothing but pings comes within [`LIMIT`].
    pub async fn next(&mut self) -> Result<Event> {
        self.next_or_end().await?.context("the event stream ended")
    }

    /// The same; `None` when the daemon has ended the stream.
    ///
    /// # Errors
    /// When nothing but pings comes within [`LIMIT`].
    pub async fn next_or_end(&mut self) -> Result<Option<Event>> {
        let deadline = Instant::now() + LIMIT;
        loop {
            while let Some(event) = self.parser.events.pop_front() {
                if event.id.is_some() {
                    self.last_id.clone_from(&event.id);
                }
                if event.event != "ping" {
                    return Ok(Some(event));
                }
            }
            if !self.read(deadline).await? {
                return Ok(None);
            }
        }
    }

    /// All events up to the first that fits, which is the last one.
    ///
    /// # Errors
    /// As [`EventStream::next`], with what came before.
    pub async fn until(&mut self, fits: impl Fn(&Event) -> bool) -> Result<Vec<Event>> {
        let mut seen = Vec::new();
        loop {
            let event = self.next().await.with_context(|| format!("after {seen:#?}"))?;
            let last = fits(&event);
            seen.push(event);
            if last {
                return Ok(seen);
            }
        }
    }

    /// All events up to the end of that turn.
    ///
    /// # Errors
    /// As [`EventStream::until`].
    pub async fn until_end(&mut self, turn: &str) -> Result<Vec<Event>> {
        self.until(|event| event.is_terminal() && event.data["turn"] == turn)
            .await
    }

    /// False at the end.
    async fn read(&mut self, deadline: Instant) -> Result<bool> {
        let Ok(chunk) = tokio::time::timeout_at(deadline, self.response.chunk()).await else {
            bail!("no event within {LIMIT:?}");
        };
        match chunk? {
            Some(chunk) => self.parser.feed(&chunk).map(|()| true),
            None => Ok(false),
        }
    }
}

/// Server-sent events as the HTML standard describes them, without `retry`.
#[derive(Debug, Default)]
struct Parser {
    rest: Vec<u8>,
    /// Bytes of it that are known to hold no line end.
    looked: usize,
    first_line: Option<String>,
    id: Option<String>,
    event: String,
    data: Vec<String>,
    events: VecDeque<Event>,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest[self.looked..].iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=self.looked + end).collect();
            self.looked = 0;
            let line = std::str::from_utf8(&line)
                .context("events are UTF-8")?
                .trim_end_matches(['\n', '\r']);
            self.first_line.get_or_insert_with(|| line.to_owned());
            self.line(line)?;
        }
        self.looked = self.rest.len();
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<()> {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event),
            "data" => self.data.push(value.to_owned()),
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) -> Result<()> {
        let (id, event) = (self.id.take(), std::mem::take(&mut self.event));
        let data = std::mem::take(&mut self.data).join("\n");
        if event.is_empty() && data.is_empty() {
            return Ok(());
        }
        let event = if event.is_empty() { "message".to_owned() } else { event };
        let data = if data.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&data).with_context(|| data.clone())?
        };
        self.events.push_back(Event { id, event, data });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::json;

    use super::*;

    #[test]
    fn parses_events_cut_anywhere() -> Result<()> {
        let text = ": connected\n\nid: b-1\nevent: turn\ndata: {\"kind\":\ndata: \"→\"}\n\nevent: ping\r\n\r\ndata: 1\n\nid: x";
        let expected = [
            Event {
                id: Some("b-1".to_owned()),
                event: "turn".to_owned(),
                data: json!({"kind": "→"}),
            },
            Event {
                id: None,
                event: "ping".to_owned(),
                data: Value::Null,
            },
            Event {
                id: None,
                event: "message".to_owned(),
                data: json!(1),
            },
        ];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            text.as_bytes().chunks(size).try_for_each(|chunk| parser.feed(chunk))?;
            assert_eq!(parser.events, expected);
            assert_eq!(parser.first_line.as_deref(), Some(": connected"));
        }
        Ok(())
    }
}

//! Brings spans to the collector, in batches.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Piece;
use super::resolve::Resolver;
use super::span::{Span, body};
use crate::attempts::chance;
use crate::config::Exporter as Settings;
use crate::metrics::{Metrics, TraceOutcome};
use crate::triggers::answer::pause as asked_pause;
use crate::triggers::client::Client;

/// Pause after the first failure of a batch; it doubles up to the longest. Chance changes it by so much.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
const JITTER: f64 = 0.25;
/// Longest pause that a collector may ask for.
const ASKED_MAX: Duration = Duration::from_secs(120);
/// How long a batch is tried. What comes meanwhile waits, as far as there is room.
const PATIENCE: Duration = Duration::from_secs(300);
/// Most bytes of an answer that are read, and most characters of it that go on.
const ANSWER_BYTES: usize = 64 << 10;
const SAID_CHARS: usize = 300;

/// What became of one request.
#[derive(Debug, PartialEq, Eq)]
enum Sent {
    /// Taken, but for so many.
    Taken { rejected: u64, said: String },
    /// Trying again can help, perhaps after the pause that was asked for.
    Later { why: String, pause: Option<Duration> },
    /// It cannot.
    Refused { why: String },
}

/// Sends what waits.
pub(crate) struct Exporter {
    settings: Settings,
    resource: Vec<(String, String)>,
    waiting: mpsc::Receiver<Piece>,
    resolver: Resolver,
    metrics: Metrics,
    http: Client,
    closing: CancellationToken,
    closed: CancellationToken,
    /// The last batch did not get there.
    is_failing: bool,
}

impl Exporter {
    pub(super) fn new(
        settings: Settings,
        instance: &str,
        waiting: mpsc::Receiver<Piece>,
        resolver: Resolver,
        metrics: Metrics,
        (closing, closed): (CancellationToken, CancellationToken),
    ) -> Self {
        let mut resource = settings.resource.clone();
        if !resource.iter().any(|(key, _)| key == "service.instance.id") {
            resource.push(("service.instance.id".into(), instance.to_owned()));
        }
        Self {
            settings,
            resource,
            waiting,
            resolver,
            metrics,
            http: Client::default(),
            closing,
            closed,
            is_failing: false,
        }
    }

    /// Sends until the handle is closed, and then what is left.
    pub(crate) async fn run(mut self) {
        let _closed = self.closed.clone().drop_guard();
        let host = self.settings.url.host().unwrap_or_default().to_owned();
        tracing::info!(host, "traces go to a collector");
        while !self.closing.is_cancelled() {
            let spans = self.gather().await;
            self.deliver(spans).await;
        }
        let mut spans = Vec::new();
        while let Ok(piece) = self.waiting.try_recv() {
            self.take(piece, &mut spans).await;
        }
        while !spans.is_empty() {
            let rest = spans.split_off(spans.len().min(self.settings.batch));
            self.deliver(std::mem::replace(&mut spans, rest)).await;
        }
    }

    /// Waits for spans: until there are enough for a batch, or the first of them has waited long enough.
    async fn gather(&mut self) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut until: Option<Instant> = None;
        while spans.len() < self.settings.batch {
            let over = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            let piece = tokio::select! {
                () = self.closing.cancelled() => break,
                () = over => break,
                piece = self.waiting.recv() => piece,
            };
            let Some(piece) = piece else {
                // The handle is gone, and nobody closes it any more.
                self.closing.cancel();
                break;
            };
            until.get_or_insert_with(|| Instant::now() + self.settings.delay);
            self.take(piece, &mut spans).await;
        }
        spans
    }

    async fn take(&mut self, piece: Piece, spans: &mut Vec<Span>) {
        if let Err(error) = self.resolver.add(piece, spans).await {
            self.metrics.traced(TraceOutcome::Dropped, 1);
            tracing::warn!(%error, "a span is left out: the queue cannot be read");
        }
    }

    /// Sends a batch, again and again while that can help.
    async fn deliver(&mut self, spans: Vec<Span>) {
        if spans.is_empty() {
            return;
        }
        let count = spans.len() as u64;
        let bytes = self.written(&spans);
        drop(spans);
        let begun = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            let sent = self.send(bytes.clone()).await;
            match sent {
                Sent::Taken { rejected, said } => return self.taken(count, rejected, &said),
                Sent::Refused { why } => {
                    self.metrics.traced(TraceOutcome::Failed, count);
                    self.is_failing = true;
                    return tracing::error!(spans = count, why, "the collector does not take spans; they are lost");
                }
                Sent::Later { why, pause: asked } => {
                    let wait = pause.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance());
                    let wait = asked.map_or(wait, |asked| asked.min(ASKED_MAX));
                    pause = (pause * 2).min(PAUSES.1);
                    if self.closing.is_cancelled() || begun.elapsed() + wait > PATIENCE {
                        self.metrics.traced(TraceOutcome::Failed, count);
                        self.is_failing = true;
                        return tracing::error!(
                            spans = count,
                            why,
                            "spans did not get to the collector; they are lost"
                        );
                    }
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::warn!(why, "spans do not get to the collector; they wait and are tried again");
                    }
                    tokio::select! {
                        // Once more, at once.
                        () = self.closing.cancelled() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    fn taken(&mut self, count: u64, rejected: u64, said: &str) {
        let rejected = rejected.min(count);
        self.metrics.traced(TraceOutcome::Exported, count - rejected);
        self.metrics.traced(TraceOutcome::Rejected, rejected);
        if rejected > 0 || !said.is_empty() {
            tracing::warn!(rejected, said, "the collector has a remark about spans");
        }
        if std::mem::take(&mut self.is_failing) {
            tracing::info!("spans get to the collector again");
        }
    }

    fn written(&self, spans: &[Span]) -> Bytes {
        let text = body(&self.resource, spans).to_string();
        if !self.settings.gzip {
            return text.into();
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        match packed.write_all(text.as_bytes()).and_then(|()| packed.finish()) {
            Ok(packed) => packed.into(),
            // In memory it does not fail; as it is, it would be read as what it is not.
            Err(error) => {
                tracing::error!(%error, "spans cannot be compressed");
                Bytes::new()
            }
        }
    }

    async fn send(&self, bytes: Bytes) -> Sent {
        match tokio::time::timeout(self.settings.timeout, self.exchange(bytes)).await {
            Ok(sent) => sent,
            Err(_late) => Sent::Later {
                why: format!("it did not answer within {:?}", self.settings.timeout),
                pause: None,
            },
        }
    }

    async fn exchange(&self, bytes: Bytes) -> Sent {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.settings.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("reveille/", env!("CARGO_PKG_VERSION")));
        if self.settings.gzip {
            request = request.header(header::CONTENT_ENCODING, "gzip");
        }
        if let Some(headers) = request.headers_mut() {
            for (name, value) in &self.settings.headers {
                headers.insert(name, value.clone());
            }
        }
        let Ok(request) = request.body(Full::new(bytes)) else {
            return Sent::Refused {
                why: "its address fits no request".into(),
            };
        };
        let response = match self.http.send(request).await {
            Ok(response) => response,
            Err(why) => return Sent::Later { why, pause: None },
        };
        let (parts, answer) = response.into_parts();
        // silent-ok: the status says what counts
        let answer = Limited::new(answer, ANSWER_BYTES).collect().await.ok();
        let answer = answer.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        judged(parts.status, &parts.headers, &answer, Timestamp::now())
    }
}

/// What an answer means.
fn judged(status: StatusCode, headers: &HeaderMap, answer: &[u8], now: Timestamp) -> Sent {
    let said: Option<Value> = serde_json::from_slice(answer).ok(); // silent-ok: a collector may answer with nothing
    let said = said.unwrap_or_default();
    let clean = |text: &Value| -> String {
        let text = text.as_str().unwrap_or_default();
        text.replace(char::is_control, " ").chars().take(SAID_CHARS).collect()
    };
    if status.is_success() {
        let partial = &said["partialSuccess"];
        let rejected = &partial["rejectedSpans"];
        // 64 bits are texts in JSON; some write numbers.
        let number = rejected.as_u64().or_else(|| rejected.as_str()?.parse().ok()); // silent-ok: then it is none
        return Sent::Taken {
            rejected: number.unwrap_or_default(),
            said: clean(&partial["errorMessage"]),
        };
    }
    let words = clean(&said["message"]);
    let why = match words.is_empty() {
        true => format!("it answered {}", status.as_u16()),
        false => format!("it answered {}: {words}", status.as_u16()),
    };
    match status.as_u16() {
        429 | 502 | 503 | 504 => {
            let asked = headers.get(header::RETRY_AFTER);
            // Below, silent-ok: what cannot be read asks for nothing.
            let asked = asked.and_then(|value| asked_pause(value.to_str().ok()?, now));
            Sent::Later {
                why,
                pause: asked.and_then(|asked| Duration::try_from(asked).ok()),
            }
        }
        _ => Sent::Refused { why },
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use pretty_assertions::assert_eq;

    use super::*;

    fn answer(status: u16, retry_after: Option<&'static str>, body: &str) -> Sent {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(text));
        }
        let status = StatusCode::from_u16(status).unwrap();
        judged(status, &headers, body.as_bytes(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn answers_mean_what_the_protocol_says() {
        let taken = |rejected, said: &str| Sent::Taken {
            rejected,
            said: said.into(),
        };
        assert_eq!(answer(200, None, "{}"), taken(0, ""));
        assert_eq!(answer(200, None, ""), taken(0, ""));
        let partial = r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too\nold"}}"#;
        assert_eq!(answer(200, None, partial), taken(3, "too old"));
        let partial = r#"{"partialSuccess":{"rejectedSpans":2}}"#;
        assert_eq!(answer(200, None, partial), taken(2, ""));
        for status in [429, 502, 503, 504] {
            let later = |pause: Option<u64>| Sent::Later {
                why: format!("it answered {status}"),
                pause: pause.map(Duration::from_secs),
            };
            assert_eq!(answer(status, None, ""), later(None));
            assert_eq!(answer(status, Some("7"), ""), later(Some(7)));
            assert_eq!(
                answer(status, Some("Thu, 01 Jan 1970 00:00:09 GMT"), ""),
                later(Some(9))
            );
            assert_eq!(answer(status, Some("soon"), ""), later(None));
        }
        for status in [400, 401, 404, 413, 500, 302] {
            let why = format!("it answered {status}: no");
            assert_eq!(answer(status, Some("1"), r#"{"message":"no"}"#), Sent::Refused { why });
        }
    }
}

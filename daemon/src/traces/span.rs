//! A span, and how it is written: OTLP 1.x in its JSON encoding.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::ids::{SpanId, TraceId};

/// Most characters of a text in a span.
const TEXT_MAX: usize = 256;
/// Flags of a span: it is recorded, and it is known whether its parent is of another program.
const SAMPLED: u32 = 0x001;
const REMOTE_IS_KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// What a span is to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Work of the daemon.
    Internal,
    /// It has sent a message.
    Producer,
    /// It has worked on one.
    Consumer,
}

impl Kind {
    /// The number that stands for it.
    fn number(self) -> u32 {
        match self {
            Self::Internal => 1,
            Self::Producer => 4,
            Self::Consumer => 5,
        }
    }
}

/// What is said of a span, an event or the program.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Attributes(Vec<(&'static str, Value)>);

impl Attributes {
    /// A text, cut when it is long.
    pub(crate) fn text(mut self, key: &'static str, text: impl AsRef<str>) -> Self {
        self.0.push((key, json!({ "stringValue": bounded(text.as_ref()) })));
        self
    }

    /// The same, where there is one.
    pub(crate) fn maybe(self, key: &'static str, text: Option<impl AsRef<str>>) -> Self {
        match text {
            Some(text) => self.text(key, text),
            None => self,
        }
    }

    /// A whole number.
    pub(crate) fn number(mut self, key: &'static str, number: impl Into<u64>) -> Self {
        // 64 bits are texts in JSON.
        self.0.push((
            key,
            json!({ "intValue": number.into().min(i64::MAX.unsigned_abs()).to_string() }),
        ));
        self
    }

    /// Any other number.
    pub(crate) fn real(mut self, key: &'static str, number: f64) -> Self {
        self.0.push((key, json!({ "doubleValue": number })));
        self
    }

    fn json(&self) -> Value {
        let pairs = self.0.iter().map(|(key, value)| json!({ "key": key, "value": value }));
        pairs.collect()
    }
}

/// Something at a moment within a span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) name: &'static str,
    pub(crate) attributes: Attributes,
}

/// Another span that has to do with one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Link {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) why: &'static str,
}

/// The span of which one is a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) span: SpanId,
    /// It is of another program.
    pub(super) remote: bool,
}

/// One span, over.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<Parent>,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) attributes: Attributes,
    pub(super) events: Vec<Event>,
    pub(super) links: Vec<Link>,
    /// The code of what went wrong.
    pub(super) error: Option<String>,
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Nanoseconds since 1970, as a text. Times before that are none.
fn nanos(at: Timestamp) -> String {
    at.as_nanosecond().max(0).to_string()
}

impl Span {
    pub(super) fn json(&self) -> Value {
        let mut flags = SAMPLED;
        if let Some(parent) = self.parent {
            flags |= REMOTE_IS_KNOWN | if parent.remote { REMOTE } else { 0 };
        }
        let mut span = Map::new();
        let mut put = |key: &str, value: Value| drop(span.insert(key.to_owned(), value));
        put("traceId", self.trace.to_string().into());
        put("spanId", self.id.to_string().into());
        if let Some(parent) = self.parent {
            put("parentSpanId", parent.span.to_string().into());
        }
        put("flags", flags.into());
        put("name", bounded(&self.name).into());
        put("kind", self.kind.number().into());
        put("startTimeUnixNano", nanos(self.start).into());
        // A clock that was put back makes no span that ends before it begins.
        put("endTimeUnixNano", nanos(self.end.max(self.start)).into());
        put("attributes", self.attributes.json());
        let events = self.events.iter().map(|event| {
            json!({
                "timeUnixNano": nanos(event.at),
                "name": event.name,
                "attributes": event.attributes.json(),
            })
        });
        put("events", events.collect());
        let links = self.links.iter().map(|link| {
            json!({
                "traceId": link.trace.to_string(),
                "spanId": link.span.to_string(),
                "attributes": Attributes::default().text("reveille.link", link.why).json(),
            })
        });
        put("links", links.collect());
        if let Some(code) = &self.error {
            put("status", json!({ "code": 2, "message": bounded(code) }));
        }
        Value::Object(span)
    }
}

/// The body of a request: spans of this program, which `resource` describes.
pub(super) fn body(resource: &[(String, String)], spans: &[Span]) -> Value {
    let resource = resource
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": { "stringValue": value } }));
    json!({
        "resourceSpans": [{
            "resource": { "attributes": resource.collect::<Value>() },
            "scopeSpans": [{
                "scope": { "name": "reveille", "version": env!("CARGO_PKG_VERSION") },
                "spans": spans.iter().map(Span::json).collect::<Value>(),
            }],
        }],
    })
}

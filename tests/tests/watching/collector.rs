//! What a collector makes of what it gets. Everything that is not as OTLP in JSON wants it is an error.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use reveille_tests::{Receiver, Told};
use serde_json::{Map, Value};

/// Where traces go.
pub(crate) const PATH: &str = "/v1/traces";

/// One span.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) remote_parent: bool,
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) start: u128,
    pub(crate) end: u128,
    pub(crate) attributes: BTreeMap<String, Value>,
    /// Name and attributes.
    pub(crate) events: Vec<(String, BTreeMap<String, Value>)>,
    /// Trace and span.
    pub(crate) links: Vec<(String, String)>,
    /// The message of the status, of a span that failed.
    pub(crate) error: Option<String>,
}

impl Span {
    /// An attribute as text; empty when it is not there.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.attributes.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn number(&self, key: &str) -> Option<i64> {
        self.attributes.get(key)?.as_i64()
    }
}

/// All that a collector has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spans(pub(crate) Vec<Span>);

fn object<'a>(value: &'a Value, known: &[&str]) -> Result<&'a Map<String, Value>> {
    let object = value.as_object().with_context(|| format!("no object: {value}"))?;
    let strange = object.keys().find(|key| !known.contains(&key.as_str()));
    ensure!(strange.is_none(), "{strange:?} is no field of {value}");
    Ok(object)
}

fn list(value: Option<&Value>) -> Result<&[Value]> {
    match value {
        None => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(other) => bail!("no list: {other}"),
    }
}

fn text(value: Option<&Value>) -> Result<String> {
    let text = value.and_then(Value::as_str);
    Ok(text.with_context(|| format!("no text: {value:?}"))?.to_owned())
}

/// So many hexadecimal digits, not all of them zero.
fn id(value: Option<&Value>, digits: usize) -> Result<String> {
    let id = text(value)?;
    let good = id.len() == digits && id.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    ensure!(
        good && id.bytes().any(|c| c != b'0'),
        "{id:?} is no id of {digits} digits"
    );
    Ok(id)
}

/// 64 bits are texts in JSON.
fn nanos(value: Option<&Value>) -> Result<u128> {
    let text = text(value)?;
    // Between 2020 and 2100.
    let nanos: u128 = text.parse()?;
    ensure!(
        (1_577_836_800..4_102_444_800).contains(&(nanos / 1_000_000_000)),
        "{text}"
    );
    Ok(nanos)
}

fn attributes(value: Option<&Value>) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    for pair in list(value)? {
        let pair = object(pair, &["key", "value"])?;
        let key = text(pair.get("key"))?;
        let value = pair.get("value").context("an attribute has a value")?;
        let kinds = ["stringValue", "intValue", "doubleValue", "boolValue"];
        let value = object(value, &kinds)?;
        ensure!(value.len() == 1, "{key}: {value:?}");
        let value = match value.iter().next().context("one")? {
            (kind, Value::String(text)) if kind == "stringValue" => Value::from(text.as_str()),
            (kind, Value::String(number)) if kind == "intValue" => Value::from(number.parse::<i64>()?),
            (kind, Value::Number(number)) if kind == "doubleValue" => Value::Number(number.clone()),
            (kind, Value::Bool(truth)) if kind == "boolValue" => Value::Bool(*truth),
            other => bail!("{key}: {other:?}"),
        };
        ensure!(all.insert(key.clone(), value).is_none(), "{key} stands there twice");
    }
    Ok(all)
}

fn span(value: &Value) -> Result<Span> {
    let known = [
        "traceId",
        "spanId",
        "parentSpanId",
        "flags",
        "name",
        "kind",
        "startTimeUnixNano",
        "endTimeUnixNano",
        "attributes",
        "events",
        "links",
        "status",
    ];
    let span = object(value, &known)?;
    let (start, end) = (
        nanos(span.get("startTimeUnixNano"))?,
        nanos(span.get("endTimeUnixNano"))?,
    );
    ensure!(start <= end, "it ends before it begins: {value}");
    let parent = span
        .get("parentSpanId")
        .map(|parent| id(Some(parent), 16))
        .transpose()?;
    let flags = span
        .get("flags")
        .and_then(Value::as_u64)
        .context("flags are a number")?;
    ensure!(flags & 1 == 1 && flags & !0x301 == 0, "{flags:x}");
    ensure!((flags & 0x100 != 0) == parent.is_some(), "{flags:x} {parent:?}");
    let kind = span.get("kind").and_then(Value::as_u64).context("a kind is a number")?;
    ensure!((1..=5).contains(&kind), "{kind}");
    let mut events = Vec::new();
    for event in list(span.get("events"))? {
        let event = object(event, &["timeUnixNano", "name", "attributes"])?;
        let at = nanos(event.get("timeUnixNano"))?;
        ensure!((start..=end).contains(&at), "an event outside of its span: {value}");
        events.push((text(event.get("name"))?, attributes(event.get("attributes"))?));
    }
    let mut links = Vec::new();
    for link in list(span.get("links"))? {
        let link = object(link, &["traceId", "spanId", "attributes"])?;
        attributes(link.get("attributes"))?;
        links.push((id(link.get("traceId"), 32)?, id(link.get("spanId"), 16)?));
    }
    let error = match span.get("status") {
        None => None,
        Some(status) => {
            let status = object(status, &["code", "message"])?;
            ensure!(status.get("code") == Some(&Value::from(2)), "{status:?}");
            Some(text(status.get("message"))?)
        }
    };
    let name = text(span.get("name"))?;
    ensure!(!name.is_empty(), "{value}");
    Ok(Span {
        trace: id(span.get("traceId"), 32)?,
        id: id(span.get("spanId"), 16)?,
        remote_parent: flags & 0x200 != 0,
        attributes: attributes(span.get("attributes"))?,
        parent,
        name,
        kind,
        start,
        end,
        events,
        links,
        error,
    })
}

/// The spans of a body, and what it says of the program.
pub(crate) fn read(told: &Told) -> Result<(Vec<Span>, BTreeMap<String, Value>)> {
    ensure!(told.header("content-type") == "application/json", "{:?}", told.headers);
    let body: Value = serde_json::from_str(&told.body)?;
    let [resource] = list(object(&body, &["resourceSpans"])?.get("resourceSpans"))? else {
        bail!("one program tells: {body}");
    };
    let resource = object(resource, &["resource", "scopeSpans"])?;
    let said = resource.get("resource").context("it says who it is")?;
    let said = attributes(object(said, &["attributes"])?.get("attributes"))?;
    let mut spans = Vec::new();
    for scope in list(resource.get("scopeSpans"))? {
        let scope = object(scope, &["scope", "spans"])?;
        let of = object(scope.get("scope").context("a scope")?, &["name", "version"])?;
        ensure!(of.get("name") == Some(&Value::from("reveille")), "{of:?}");
        for one in list(scope.get("spans"))? {
            spans.push(span(one)?);
        }
    }
    ensure!(!spans.is_empty(), "a request with nothing");
    Ok((spans, said))
}

impl Spans {
    /// What has come until now.
    pub(crate) fn of(collector: &Receiver) -> Result<Self> {
        let mut all = Vec::new();
        for told in collector.told() {
            ensure!(told.target == PATH, "a request for {}", told.target);
            all.extend(read(&told)?.0);
        }
        Ok(Self(all))
    }

    /// Those of a name.
    pub(crate) fn named(&self, name: &str) -> Vec<&Span> {
        self.0.iter().filter(|span| span.name == name).collect()
    }

    /// The span of a turn's message, once there is one. More than one are an error.
    pub(crate) fn message(&self, turn: &str) -> Option<&Span> {
        let is_it = |span: &&Span| span.name.starts_with("message ") && span.text("reveille.turn.id") == turn;
        let found: Vec<_> = self.0.iter().filter(is_it).collect();
        assert!(found.len() <= 1, "{found:#?}");
        found.first().copied()
    }

    /// The names of what is directly below a span.
    pub(crate) fn below(&self, parent: &Span) -> BTreeSet<&str> {
        let is_below = |span: &&Span| span.trace == parent.trace && span.parent.as_ref() == Some(&parent.id);
        self.0.iter().filter(is_below).map(|span| span.name.as_str()).collect()
    }
}

//! Webhooks in: a signed call from CI, a forge or monitoring becomes a message for an agent.
//!
//! Nothing is kept here. That a call made twice is one message is the work of its idempotency key, which is taken from what is
//! signed: whoever repeats a call that he overheard wakes nobody.

mod template;

use std::collections::BTreeMap;

use http::HeaderMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::Incoming;
use crate::sign::{Secret, is_github, is_standard};

pub use self::template::{Missing, Template};

/// How far the time in a call may be from ours, in seconds.
pub const TOLERANCE_SECONDS: i64 = 300;

/// Where GitHub's scheme has its signature.
const GITHUB_SIGNATURE: &str = "x-hub-signature-256";

/// Most bytes of a body, unless a hook says otherwise.
pub const BODY_BYTES: usize = 1 << 20;

/// Keys that a call is compared with, of each scheme, before it is refused: so many are compared whatever the hook has, and also
/// when it is not there. What a call costs says neither which hooks there are nor how they sign.
const KEYS: usize = 2;

/// Most characters of the text of a message.
pub const TEXT_CHARS: usize = 32_000;

/// How calls are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// Standard Webhooks 1.0. Id and time are signed.
    Standard,
    /// `X-Hub-Signature-256` over the body, as GitHub does it. Neither an id nor a time is signed.
    Github,
}

/// What makes two calls the same one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// What is signed: `webhook-id` of Standard Webhooks, the whole body of GitHub's scheme.
    #[default]
    Signed,
    /// A place in the body, as a JSON pointer or dotted path.
    Body(String),
    /// A header. It is not signed, so somebody who overheard a call can repeat it under another id.
    Header(String),
}

/// A call is for the agent only when this place of the body has this value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// JSON pointer or dotted path.
    pub at: String,
    /// Any of these; numbers and booleans as their text.
    pub is: Vec<String>,
}

/// A hook as it is configured.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name in the path: `[a-z0-9][a-z0-9_-]{0,62}`.
    pub name: String,
    /// The agent that is woken.
    pub agent: String,
    /// How calls are signed.
    pub scheme: Scheme,
    /// Any of these; several while one replaces another.
    pub secrets: Vec<Secret>,
    /// The text of the message.
    pub template: String,
    /// The conversation within the agent, as a template too.
    pub subject: Option<String>,
    /// For what the body does not have.
    pub missing: Missing,
    /// What makes two calls the same one.
    pub identity: Identity,
    /// Calls of these kinds only (`X-GitHub-Event`, `type` of Standard Webhooks); empty: of all.
    pub events: Vec<String>,
    /// All of them must hold.
    pub when: Vec<Condition>,
    /// Most bytes of a body.
    pub body_bytes: usize,
}

impl Options {
    /// A hook that takes every call, with the whole body as its message.
    #[must_use]
    pub fn new(name: &str, agent: &str, scheme: Scheme, secret: Secret) -> Self {
        Self {
            name: name.to_owned(),
            agent: agent.to_owned(),
            scheme,
            secrets: vec![secret],
            template: "{{ . }}".to_owned(),
            subject: None,
            missing: Missing::Empty,
            identity: Identity::Signed,
            events: Vec::new(),
            when: Vec::new(),
            body_bytes: BODY_BYTES,
        }
    }

    /// Looks whether it holds together.
    ///
    /// # Errors
    /// What is wrong with it, for a person, without its secrets.
    pub fn build(self) -> Result<Hook, String> {
        let name = &self.name;
        let wrong = |why: String| format!("the hook {name:?}: {why}");
        if !is_name(name) {
            return Err(wrong(
                "its name may have a-z, 0-9, - and _, at most 63, and begins with a letter or digit".into(),
            ));
        }
        if self.agent.trim().is_empty() {
            return Err(wrong("it has no agent".into()));
        }
        if self.secrets.is_empty() || self.secrets.iter().any(|secret| secret.expose().trim().is_empty()) {
            return Err(wrong("it has no secret; anybody could wake the agent".into()));
        }
        let keys = match self.scheme {
            Scheme::Standard => self.secrets.iter().map(Secret::standard_key).collect::<Result<_, _>>(),
            Scheme::Github => Ok(Vec::new()),
        };
        let (keys, template) = (keys.map_err(wrong)?, Template::parse(&self.template).map_err(wrong)?);
        let subject = self
            .subject
            .as_deref()
            .map(Template::parse)
            .transpose()
            .map_err(wrong)?;
        let place = match &self.identity {
            Identity::Body(path) => Some(template::pointer(path).map_err(wrong)?),
            Identity::Header(header) => {
                http::HeaderName::try_from(header).map_err(|_| wrong(format!("{header:?} is no header")))?;
                None
            }
            Identity::Signed => None,
        };
        let when = self
            .when
            .iter()
            .map(|each| Ok((template::pointer(&each.at)?, each.is.clone())));
        let when = when.collect::<Result<_, String>>().map_err(wrong)?;
        Ok(Hook {
            keys,
            template,
            subject,
            place,
            when,
            options: self,
        })
    }
}

pub(crate) fn is_name(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=63).contains(&name.len()) && name.bytes().all(fine) && !name.starts_with(['-', '_'])
}

/// Why a call was refused. Nothing came of it. Whoever gets [`Header`](Self::Header), [`Signature`](Self::Signature) or
/// [`Unknown`](Self::Unknown) has not shown that he knows a secret of the hook, and is to be told one and the same, or he learns
/// which hooks there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookRefusal {
    /// More than the hook takes.
    #[error("the body has more than {most} bytes")]
    TooLong {
        /// What it takes.
        most: usize,
    },
    /// A header is missing or not readable.
    #[error("the header {0} is missing, or nothing that can be read")]
    Header(&'static str),
    /// It is not signed by somebody who has the secret.
    #[error("the signature does not fit: another secret, or another body than the one that was signed")]
    Signature,
    /// There is no such hook.
    #[error("there is no hook of this name")]
    Unknown,
    /// It was signed too long ago, or by a clock that is wrong.
    #[error(
        "the call was signed {seconds} s away from our time, more than {TOLERANCE_SECONDS}; set the clock, or it is a repetition"
    )]
    Stale {
        /// How far.
        seconds: i64,
    },
    /// The body is not JSON.
    #[error("the body is not JSON ({0}); with GitHub choose the content type application/json")]
    Json(String),
    /// The body lacks something that the hook asks for.
    #[error("{0}")]
    Lacks(String),
}

/// Refuses a call of a hook that is not there, at the cost of one that is and does not know the signature.
#[must_use]
pub fn refuse_unknown(headers: &HeaderMap, body: &[u8]) -> HookRefusal {
    if body.len() > BODY_BYTES {
        return HookRefusal::TooLong { most: BODY_BYTES };
    }
    pretend(headers, body, [KEYS; 2]);
    HookRefusal::Unknown
}

/// Compares a call with so many keys of Standard Webhooks and of GitHub's scheme that nobody has.
fn pretend(headers: &HeaderMap, body: &[u8], [standard, github]: [usize; 2]) {
    if let Ok((id, at, signature)) = standard_parts(headers) {
        let keys = vec![vec![0; 32]; standard];
        std::hint::black_box(is_standard(&keys, signature, id, at, body));
    }
    if let Ok(signature) = header(headers, GITHUB_SIGNATURE) {
        let secrets = vec![Secret::new("nobody"); github];
        std::hint::black_box(is_github(&secrets, signature, body));
    }
}

/// Id, time and signatures of a call of Standard Webhooks.
fn standard_parts(headers: &HeaderMap) -> Result<(&str, i64, &str), HookRefusal> {
    let id = header(headers, "webhook-id")?;
    let at = header(headers, "webhook-timestamp")?
        .parse()
        .map_err(|_| HookRefusal::Header("webhook-timestamp"))?;
    Ok((id, at, header(headers, "webhook-signature")?))
}

/// What came of a call that is signed well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Hand it to [`crate::Intake::take`].
    Message(Box<Incoming>),
    /// It is not for the agent. Answer with success, or the sender repeats it.
    Ignored {
        /// Why, for a person.
        why: String,
    },
}

/// A hook that holds together.
#[derive(Debug, Clone)]
pub struct Hook {
    options: Options,
    keys: Vec<Vec<u8>>,
    template: Template,
    subject: Option<Template>,
    place: Option<String>,
    when: Vec<(String, Vec<String>)>,
}

impl Hook {
    /// Its configuration.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Judges one call.
    ///
    /// # Errors
    /// [`HookRefusal`].
    pub fn receive(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Received, HookRefusal> {
        if body.len() > self.options.body_bytes {
            return Err(HookRefusal::TooLong {
                most: self.options.body_bytes,
            });
        }
        let signed = self.check(headers, body, now)?;
        if header(headers, "x-github-event").is_ok_and(|event| event == "ping") {
            return Ok(Received::Ignored {
                why: "a ping: the hook works".into(),
            });
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| HookRefusal::Json(error.to_string()))?;
        if let Some(why) = self.passes_by(headers, &value) {
            return Ok(Received::Ignored { why });
        }
        let render = |template: &Template, most| template.render(&value, self.options.missing, most);
        let text = render(&self.template, TEXT_CHARS).map_err(HookRefusal::Lacks)?;
        if text.trim().is_empty() {
            return Err(HookRefusal::Lacks(
                "nothing is left of the message: the body has none of the template's places".into(),
            ));
        }
        let subject = self.subject.as_ref().map(|subject| render(subject, 200)).transpose();
        let subject = subject
            .map_err(HookRefusal::Lacks)?
            .filter(|subject| !subject.trim().is_empty());
        let name = &self.options.name;
        let id = self.identity(headers, &value, signed)?;
        // Bounded whatever the sender calls it.
        let key = format!("hook:{name}:{}", digest(id.as_bytes()));
        Ok(Received::Message(Box::new(Incoming {
            agent: self.options.agent.clone(),
            text,
            sender: format!("hook:{name}"),
            subject,
            idempotency_key: Some(key),
            origin: BTreeMap::from([("hook".to_owned(), name.clone())]),
            ..Incoming::default()
        })))
    }

    /// Answers what makes the call the same one, of what is signed.
    fn check(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<String, HookRefusal> {
        let compared = self.options.secrets.len();
        let (signed, left) = match self.options.scheme {
            Scheme::Standard => (
                self.check_standard(headers, body),
                [KEYS.saturating_sub(compared), KEYS],
            ),
            Scheme::Github => (self.check_github(headers, body), [KEYS, KEYS.saturating_sub(compared)]),
        };
        let (id, at) = signed.inspect_err(|_| pretend(headers, body, left))?;
        let seconds = at.map_or(0, |at| now.as_second().saturating_sub(at).saturating_abs());
        match seconds > TOLERANCE_SECONDS {
            true => Err(HookRefusal::Stale { seconds }),
            false => Ok(id),
        }
    }

    fn check_standard(&self, headers: &HeaderMap, body: &[u8]) -> Result<(String, Option<i64>), HookRefusal> {
        let (id, at, signature) = standard_parts(headers)?;
        match is_standard(&self.keys, signature, id, at, body) {
            true => Ok((id.to_owned(), Some(at))),
            false => Err(HookRefusal::Signature),
        }
    }

    fn check_github(&self, headers: &HeaderMap, body: &[u8]) -> Result<(String, Option<i64>), HookRefusal> {
        match is_github(&self.options.secrets, header(headers, GITHUB_SIGNATURE)?, body) {
            true => Ok((digest(body), None)),
            false => Err(HookRefusal::Signature),
        }
    }

    fn passes_by(&self, headers: &HeaderMap, body: &Value) -> Option<String> {
        let named = header(headers, "x-github-event").ok(); // silent-ok: others have none
        let kind = named
            .or_else(|| body.pointer("/type").and_then(Value::as_str))
            .unwrap_or("");
        if !self.options.events.is_empty() && !self.options.events.iter().any(|event| event == kind) {
            return Some(format!("the hook does not ask for {kind:?}"));
        }
        let fails = self.when.iter().find(|(place, is)| {
            let found = match body.pointer(place) {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => return true,
            };
            !is.contains(&found)
        });
        fails.map(|(place, _)| format!("{place} is not what the hook asks for"))
    }

    fn identity(&self, headers: &HeaderMap, body: &Value, signed: String) -> Result<String, HookRefusal> {
        match (&self.options.identity, &self.place) {
            (Identity::Header(name), _) => match headers.get(name.as_str()).map(|value| value.to_str()) {
                Some(Ok(id)) if !id.trim().is_empty() => Ok(id.to_owned()),
                _ => Err(HookRefusal::Lacks(format!(
                    "the call has no header {name}, which is its id"
                ))),
            },
            (Identity::Body(path), Some(place)) => match body.pointer(place) {
                Some(Value::String(id)) if !id.trim().is_empty() => Ok(id.clone()),
                Some(Value::Number(id)) => Ok(id.to_string()),
                _ => Err(HookRefusal::Lacks(format!("the body has no id at {path}"))),
            },
            _ => Ok(signed),
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, HookRefusal> {
    let mut all = headers.get_all(name).iter();
    match (all.next().map(|value| value.to_str()), all.next()) {
        (Some(Ok(value)), None) => Ok(value),
        _ => Err(HookRefusal::Header(name)),
    }
}

//! One call to a receiver, and what it comes to.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};

use super::client::{Answer, Client};
use super::event::{Kind, Report};
use super::subscription::{Profile, Subscription};
use super::{Shared, Tested, request};
use crate::outbox::{Item, Numbered, OutboxError};

/// A clock that is further away than this is set right once after a 401, in seconds.
const SKEW_SECONDS: i64 = 240;

/// What came of a call.
pub(super) enum Ending {
    Delivered,
    /// The receiver fails, whatever it is sent.
    Away {
        why: String,
        wish: Option<Duration>,
    },
    /// It does not take this.
    Wrong(String),
    TooLong(String),
    Refused(String),
    /// There is nothing to send any more.
    Gone,
    /// The outbox fails.
    Unwritable(OutboxError),
}

/// What the calls need.
#[derive(Clone)]
pub(super) struct Caller {
    shared: Arc<Shared>,
    subscription: Arc<Subscription>,
    client: Client,
    /// Milliseconds that the receiver's clock is before ours.
    offset: Arc<AtomicI64>,
}

impl Caller {
    /// # Errors
    /// Why nothing can be sent there, for a person.
    pub(super) fn new(shared: &Arc<Shared>, subscription: &Arc<Subscription>) -> Result<Self, String> {
        let options = &shared.options;
        let client = Client::new(
            &subscription.url,
            &subscription.allow,
            Arc::clone(&options.resolver),
            &options.tls,
            (options.times.connect, options.times.whole),
        )?;
        Ok(Self {
            shared: Arc::clone(shared),
            subscription: Arc::clone(subscription),
            client,
            offset: Arc::default(),
        })
    }

    /// One call that nothing depends on: what the receiver says to it.
    pub(super) async fn test(&self, report: &Report, id: &str) -> Tested {
        let begun = tokio::time::Instant::now();
        let answer = match request::body(&self.subscription, report, None, &self.shared.options.instance) {
            Ok(body) => self.post(id, body, None).await,
            Err(why) => Err(why),
        };
        let status = answer.as_ref().ok().map(|answer| answer.status); // silent-ok: no answer has no status
        let said = answer.as_ref().map(|answer| self.said(answer));
        let said = said.unwrap_or_else(String::clone);
        let (delivered, said) = match self.judge(answer) {
            Ending::Delivered => (true, said),
            Ending::Away { why, .. } | Ending::Wrong(why) | Ending::TooLong(why) | Ending::Refused(why) => (false, why),
            Ending::Gone | Ending::Unwritable(_) => (false, said),
        };
        Tested {
            id: id.to_owned(),
            delivered,
            status,
            said,
            took: begun.elapsed(),
        }
    }

    pub(super) async fn call(self, item: Item) -> (Item, Ending) {
        let ending = self.try_call(&item).await;
        (item, ending)
    }

    async fn try_call(&self, item: &Item) -> Ending {
        let report: Report = match serde_json::from_str(&item.payload) {
            Ok(report) => report,
            Err(error) => return Ending::Wrong(format!("it is not what was stored ({error})")),
        };
        let beats = report.kind == Kind::TurnStarted && self.subscription.profile == Profile::Supervisor;
        let numbered = if beats || report.turn.is_none() || !report.kind.is_turn() {
            None
        } else {
            match self
                .shared
                .options
                .outbox
                .number(&self.subscription.bridge(), &item.id)
                .await
            {
                Ok(Some(numbered)) => Some(numbered),
                Ok(None) => return Ending::Gone,
                Err(error) => return Ending::Unwritable(error),
            }
        };
        let id = match report.part {
            0 => item.id.clone(),
            part => format!("{}-{}", item.id, part + 1),
        };
        self.exchange(&report, numbered, &id, None).await
    }

    async fn exchange(
        &self,
        report: &Report,
        numbered: Option<Numbered>,
        id: &str,
        within: Option<Duration>,
    ) -> Ending {
        let body = match request::body(&self.subscription, report, numbered, &self.shared.options.instance) {
            Ok(body) => body,
            Err(why) => return Ending::Wrong(why),
        };
        let first = self.post(id, body.clone(), within).await;
        // The usual cause of a 401 is a clock that is wrong: theirs or ours, the calls must fit theirs.
        if let Ok(answer) = &first
            && answer.status == 401
            && self.offset.load(Ordering::Relaxed) == 0
            && let Some(skew) = self.skew(&answer.headers)
        {
            self.offset.store(skew, Ordering::Relaxed);
            return self.judge(self.post(id, body, within).await);
        }
        self.judge(first)
    }

    async fn post(&self, id: &str, body: Bytes, within: Option<Duration>) -> Result<Answer, String> {
        let options = &self.shared.options;
        let offset = SignedDuration::from_millis(self.offset.load(Ordering::Relaxed));
        let now = (options.clock)();
        let now = now.checked_add(offset).unwrap_or(now);
        let nonce = (options.ids)().to_string();
        let headers = request::headers(&self.subscription, id, (now, &nonce), &body)?;
        self.client.post(headers, body, within).await
    }

    fn skew(&self, headers: &HeaderMap) -> Option<i64> {
        let theirs = headers.get(header::DATE)?.to_str().ok()?; // silent-ok: it says nothing
        let theirs = jiff::fmt::rfc2822::parse(theirs).ok()?.timestamp(); // silent-ok: the same
        let skew = theirs.as_millisecond() - (self.shared.options.clock)().as_millisecond();
        (skew.abs() > SKEW_SECONDS * 1000).then_some(skew)
    }

    /// What the receiver said, for a person.
    fn said(&self, answer: &Answer) -> String {
        // A receiver may say in an error what it was shown.
        let mut says = answer.says.clone();
        for secret in &self.subscription.secrets {
            says = says.replace(secret.expose(), "…");
        }
        match says.trim() {
            "" => format!("it answered {}", answer.status),
            says => format!("it answered {}: {says}", answer.status),
        }
    }

    fn judge(&self, answer: Result<Answer, String>) -> Ending {
        let answer = match answer {
            Ok(answer) => answer,
            Err(why) => return Ending::Away { why, wish: None },
        };
        let why = self.said(&answer);
        match answer.status {
            200..=299 => Ending::Delivered,
            409 if self.subscription.profile == Profile::Supervisor => Ending::Delivered,
            300..=399 => Ending::Away {
                why: format!(
                    "it answered {}, and redirects are not followed; enter the address that it leads to",
                    answer.status
                ),
                wish: None,
            },
            401 | 410 => Ending::Refused(why),
            413 => Ending::TooLong(why),
            400 | 422 => Ending::Wrong(why),
            _ => Ending::Away {
                why,
                wish: wish(&answer.headers, (self.shared.options.clock)()),
            },
        }
    }

    /// Tells that the turns go on. Nobody waits for it.
    pub(super) async fn beat(self) -> Ending {
        let options = &self.shared.options;
        for (agent, turn, session) in self.shared.batches.running() {
            if !self.subscription.wants(Kind::TurnEvent, Some(&agent)) {
                continue;
            }
            let report = Report {
                kind: Kind::TurnStarted,
                at: (options.clock)(),
                agent: Some(agent),
                turn: Some(turn),
                body: serde_json::value::to_raw_value(&serde_json::json!({"heartbeat": true})).ok(), // silent-ok: always JSON
                events: Vec::new(),
                snapshot: None,
                session,
                part: 0,
                most: None,
            };
            let id = format!("beat_{}", (options.ids)());
            if let Ending::Refused(why) = self.exchange(&report, None, &id, Some(options.times.beat)).await {
                return Ending::Refused(why);
            }
        }
        Ending::Delivered
    }
}

/// What `Retry-After` asks for: seconds, or a date.
fn wish(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?; // silent-ok: asks for nothing
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp(); // silent-ok: asks for nothing
            Duration::try_from(at.duration_since(now)).ok() // silent-ok: it is over
        }
    }
}

//! Tickets for clients that can set no header on a stream, such as an `EventSource` in a page of another origin: good for one
//! stream, once, for a minute, and for no more than who asked for them. In memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::{Extension, Json};
use http::{HeaderMap, Method, StatusCode, Uri};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use utoipa::ToSchema;

use super::error::{ApiError, OptionalBody};
use super::{Api, Caller};
use crate::state_dir::secret_bytes;

/// How long a ticket works.
const LIFE: Duration = Duration::from_secs(60);
/// Tickets at once, of everybody and of one subject.
const MOST: (usize, usize) = (4096, 64);
/// The streams that a ticket may open, by the addresses of the router.
const STREAMS: [&str; 3] = ["/api/events", "/api/channels/{channel}/turn-events", "/ui/events"];
/// The parameter of an address that has a ticket.
const PARAMETER: &str = "ticket";
/// Those that choose what a stream shows: a ticket is bound to them.
const CHOICES: [&str; 2] = ["channels", "channel"];

type Digest = [u8; 32];

/// Where a ticket is good.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    path: String,
    choices: Vec<(String, String)>,
}

impl Place {
    fn of(path: &str, query: &str) -> Self {
        let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
        let mut choices: Vec<_> = pairs.filter(|(name, _)| CHOICES.contains(&name.as_str())).collect();
        choices.sort_unstable();
        Self {
            path: percent_decode_str(path).decode_utf8_lossy().into_owned(),
            choices,
        }
    }

    /// What a client calls it; below a mount it calls it by more than we do.
    fn asked(text: &str) -> Option<Self> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let starts = path.match_indices('/').map(|(at, _)| &path[at..]);
        let own = starts.into_iter().find(|rest| is_stream(rest))?;
        path.starts_with('/').then(|| Self::of(own, query))
    }
}

/// Whether that is the address of a stream.
fn is_stream(path: &str) -> bool {
    let of_channel = path
        .strip_prefix("/api/channels/")
        .and_then(|rest| rest.strip_suffix("/turn-events"));
    STREAMS.contains(&path) && !path.contains('{')
        || of_channel.is_some_and(|channel| !channel.is_empty() && !channel.contains('/'))
}

struct Ticket {
    caller: Caller,
    subject: String,
    /// `None`: any one stream.
    place: Option<Place>,
    until: Instant,
}

/// All tickets that nobody has used yet.
#[derive(Default)]
pub(super) struct Tickets {
    open: Mutex<HashMap<Digest, Ticket>>,
}

impl Tickets {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<Digest, Ticket>) -> T) -> T {
        look(&mut self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `None`: there are very many already.
    fn mint(&self, caller: &Caller, place: Option<Place>) -> Option<(String, Timestamp)> {
        let (now, subject) = (Instant::now(), caller.subject());
        let text = secret_bytes();
        let ticket = Ticket {
            caller: caller.clone(),
            subject,
            place,
            until: now + LIFE,
        };
        let kept = self.with(|open| {
            open.retain(|_, ticket| ticket.until > now);
            let own = open.values().filter(|other| other.subject == ticket.subject).count();
            let room = open.len() < MOST.0 && own < MOST.1;
            if room {
                open.insert(digest(&text), ticket);
            }
            room
        });
        kept.then(|| (text, Timestamp::now() + LIFE))
    }

    /// Whose ticket a request shows, if it is one for a stream. The ticket is used up by being looked at.
    ///
    /// # Errors
    /// It is none, or not for this.
    pub(super) fn take(&self, request: &Request) -> Option<Result<Caller, ApiError>> {
        let route = request.extensions().get::<MatchedPath>()?;
        if request.method() != Method::GET || !STREAMS.contains(&route.as_str()) {
            return None;
        }
        let shown = shown(request.uri())?;
        let ticket = self.with(|open| open.remove(&digest(&shown)));
        let wrong = |message: &str| {
            ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
                .then("Ask for another one at `POST /api/ui/sse-ticket`; each works once, for a minute.")
        };
        let ticket = match ticket {
            Some(ticket) if ticket.until > Instant::now() => ticket,
            _ => {
                return Some(Err(wrong(
                    "This ticket has been used, is too old, or was never given out.",
                )));
            }
        };
        let here = Place::of(request.uri().path(), request.uri().query().unwrap_or_default());
        if ticket.place.is_some_and(|place| place != here) {
            return Some(Err(wrong("This ticket is for another stream.")));
        }
        if let Caller::Token(grant) = &ticket.caller
            && !grant.holds()
        {
            return Some(Err(wrong(
                "The token that asked for this ticket does not hold any more.",
            )));
        }
        Some(Ok(ticket.caller))
    }
}

fn digest(text: &str) -> Digest {
    Sha256::digest(text.as_bytes()).into()
}

fn shown(uri: &Uri) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs
        .find(|(name, _)| name == PARAMETER)
        .map(|(_, ticket)| ticket.into_owned())
}

/// Which stream a ticket is to open.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = TicketAsked)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Its path, and its choice of channels; without it any one stream.
    #[schema(example = "/api/events?channels=eng")]
    path: Option<String>,
}

/// A ticket for a stream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ticket)]
pub(super) struct Made {
    /// For the parameter `ticket` of the stream.
    ticket: String,
    expires_at: Timestamp,
}

/// Makes a ticket for clients that can set no header on a stream: it opens one stream, once, within a minute.
#[utoipa::path(
    post, path = "/api/ui/sse-ticket", operation_id = "createTicket", tag = "live", request_body = Option<Asked>,
    responses((status = 200, description = "The ticket.", body = Made)),
)]
pub(super) async fn make(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    OptionalBody(asked): OptionalBody<Asked>,
) -> Result<Json<Made>, ApiError> {
    if !api.auth.shows_token(&headers) {
        let message = "A ticket is for who sends a token in a header.";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .then("A browser that signed in needs none: its cookie opens the streams."));
    }
    let place = match asked.path.as_deref() {
        None => None,
        Some(path) => Some(Place::asked(path).ok_or_else(|| {
            let message = format!("There is no stream at {path:?}.");
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_body", message)
                .then("Give the path of a stream, such as /api/channels/eng/turn-events or /api/events?channels=eng.")
        })?),
    };
    let Some((ticket, expires_at)) = api.auth.tickets().mint(&caller, place) else {
        let message = "There are very many tickets that nobody has used.";
        return Err(
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tickets", message)
                .then("Use those, or wait until their minute is over.")
                .after(LIFE),
        );
    };
    Ok(Json(Made { ticket, expires_at }))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn a_stream_is_known_by_its_path_also_below_a_mount() {
        for (asked, path, choices) in [
            ("/api/events", "/api/events", &[][..]),
            ("/api/events?channels=a,b&x=1", "/api/events", &[("channels", "a,b")]),
            ("/reveille/api/events", "/api/events", &[]),
            ("/api/channels/a%20b/turn-events", "/api/channels/a b/turn-events", &[]),
            (
                "/api/channels/api/turn-events?ticket=x",
                "/api/channels/api/turn-events",
                &[],
            ),
            ("/ui/events?channel=ui1", "/ui/events", &[("channel", "ui1")]),
        ] {
            let place = Place::asked(asked).unwrap();
            let choices: Vec<_> = choices
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!((place.path.as_str(), place.choices), (path, choices), "{asked}");
        }
        for none in [
            "",
            "api/events",
            "x/api/events",
            "/api/eventsx",
            "/api/events/",
            "/api/channels//turn-events",
            "/api/channels/a/b/turn-events",
            "/api/channels/{channel}/messages",
            "/api/agents",
            "https://evil.example/api/agents",
        ] {
            assert_eq!(Place::asked(none), None, "{none:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn unused_tickets_are_bounded_and_forgotten() {
        let tickets = Tickets::default();
        let mint = || tickets.mint(&Caller::Operator, None);
        let first = mint().unwrap().0;
        assert_eq!(first.len(), 43);
        for _ in 1..MOST.1 {
            assert_ne!(mint().unwrap().0, first);
        }
        assert!(mint().is_none());
        tokio::time::advance(LIFE).await;
        assert!(mint().is_some());
        assert_eq!(tickets.with(|open| open.len()), 1);
    }
}

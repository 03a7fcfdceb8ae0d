//! By what right a stream is open. It is looked at again while the stream lasts, since a token may end or be taken away.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use tokio::time::{Instant, Sleep, sleep};

use super::Caller;
use super::auth::Auth;
use crate::tokens::{Scope, Verb};

/// A request that shows the same.
fn like(headers: &HeaderMap) -> Request {
    let mut request = Request::new(Body::empty());
    request.headers_mut().clone_from(headers);
    request
}

/// Whether who asks at an open address may read: it is told more.
pub(super) async fn may_read(auth: &Auth, parts: &Parts) -> bool {
    let mut request = like(&parts.headers);
    if let Some(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>() {
        request.extensions_mut().insert(*peer);
    }
    let caller = auth.identify(&request).await;
    match caller {
        Ok(Caller::Operator) => true,
        Ok(Caller::Token(grant)) => grant.covers(&Scope::daemon(Verb::Read)),
        Ok(Caller::Turn(_)) | Err(_) => false,
    }
}

/// What a request was let in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// A token in a header.
    Token,
    /// The cookie of a browser that signed in.
    Cookie,
    /// A ticket, which was used up by it.
    Ticket,
}

/// The right of a request that was let in, for those that last.
#[derive(Clone)]
pub(crate) struct Standing {
    auth: Auth,
    /// As it was shown.
    headers: HeaderMap,
    caller: Caller,
    shown: Shown,
    /// When it ends by itself.
    until: Option<Timestamp>,
}

impl Standing {
    /// Of a request that showed these headers and was let in as `caller`.
    pub(super) fn of(auth: &Auth, headers: &HeaderMap, caller: &Caller, shown: Shown) -> Self {
        let until = match caller {
            Caller::Token(grant) => grant.new.expires_at,
            Caller::Operator | Caller::Turn(_) => None,
        };
        Self {
            auth: auth.clone(),
            headers: headers.clone(),
            caller: caller.clone(),
            shown,
            until,
        }
    }

    /// What let it in.
    pub(super) fn shown(&self) -> Shown {
        self.shown
    }

    /// Whether the same request would be let in now.
    pub(super) async fn holds(&self) -> bool {
        match self.shown {
            // It cannot be shown twice; what it stands for may have ended since. What else the request had counts for nothing.
            Shown::Ticket => self.auth.stands(&self.caller).await,
            Shown::Token | Shown::Cookie => {
                let again = self.auth.identify(&like(&self.headers));
                again.await.is_ok()
            }
        }
    }

    /// Waits for the end that is known.
    pub(super) async fn ends(&self) {
        let Some(until) = self.until else {
            return std::future::pending().await;
        };
        sleep(left(until)).await;
    }

    /// The same, for a stream that says something each `pause`.
    pub(super) fn tenure(mut self, pause: Duration) -> Tenure {
        // As they came they are parts of all that the connection had read, and would keep that.
        for value in self.headers.values_mut() {
            let secret = value.is_sensitive();
            if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
                *value = copy;
                value.set_sensitive(secret);
            }
        }
        let first = self.pause(pause);
        Tenure {
            standing: Arc::new(self),
            pause,
            next: Box::pin(sleep(first)),
            look: None,
        }
    }

    /// The same pause, or what is left when that is less.
    fn pause(&self, pause: Duration) -> Duration {
        self.until.map_or(pause, |until| left(until).min(pause))
    }
}

fn left(until: Timestamp) -> Duration {
    // silent-ok: it is over.
    Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default()
}

/// The right of a stream, looked at again while it lasts.
pub(super) struct Tenure {
    standing: Arc<Standing>,
    pause: Duration,
    next: Pin<Box<Sleep>>,
    look: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
}

impl Tenure {
    /// When a pause is over: whether the right still holds. At its end that is known there is no pause.
    pub(super) fn poll_look(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let look = match &mut self.look {
            Some(look) => look,
            none => {
                ready!(self.next.as_mut().poll(context));
                if self.standing.until.is_some_and(|until| until <= Timestamp::now()) {
                    return Poll::Ready(false);
                }
                let standing = Arc::clone(&self.standing);
                none.insert(Box::pin(async move { standing.holds().await }))
            }
        };
        let holds = ready!(look.as_mut().poll(context));
        self.look = None;
        let next = Instant::now() + self.standing.pause(self.pause);
        self.next.as_mut().reset(next);
        Poll::Ready(holds)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use pretty_assertions::assert_eq;

    use super::*;
    use crate::delegation::Passes;
    use crate::sessions::Sessions;
    use crate::tokens::{NewGrant, Tokens};

    const ADMIN: &str = "secret";

    fn auth(tokens: &Tokens) -> Auth {
        let bound = SocketAddr::from(([127, 0, 0, 1], 7));
        let passes = Passes::new("http://127.0.0.1:7".into(), None);
        let sessions = tempfile::tempdir().unwrap().keep().join("sessions.json");
        Auth::new(
            ADMIN,
            bound,
            Sessions::open(sessions, ADMIN, Duration::from_secs(60)),
            vec![],
            passes,
            tokens.clone(),
            None,
        )
    }

    fn bearer(token: &str) -> HeaderMap {
        let value = format!("Bearer {token}").parse().unwrap();
        HeaderMap::from_iter([(http::header::AUTHORIZATION, value)])
    }

    async fn grant(tokens: &Tokens, verb: Verb, expires_at: Option<Timestamp>) -> (Caller, String) {
        let new = NewGrant {
            scopes: vec![Scope::daemon(verb)],
            expires_at,
            ..NewGrant::default()
        };
        let (grant, token) = tokens.create(new, None).await.unwrap();
        (Caller::Token(grant), token)
    }

    fn store() -> (tempfile::TempDir, Tokens) {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&dir.path().join("tokens.db")).unwrap();
        (dir, tokens)
    }

    #[tokio::test]
    async fn a_right_holds_until_its_token_is_taken_away() {
        let (_dir, tokens) = store();
        let auth = auth(&tokens);
        let (caller, token) = grant(&tokens, Verb::Read, None).await;
        let standing = Standing::of(&auth, &bearer(&token), &caller, Shown::Token);
        assert!(standing.holds().await);
        let Caller::Token(held) = caller else {
            panic!("a token");
        };
        assert!(tokens.revoke(&held.id).await.unwrap());
        assert!(!standing.holds().await);
        assert!(
            Standing::of(&auth, &bearer(ADMIN), &Caller::Operator, Shown::Token)
                .holds()
                .await
        );
    }

    #[tokio::test]
    async fn what_a_ticket_opened_hangs_on_its_token_and_not_on_a_cookie_beside_it() {
        let (_dir, tokens) = store();
        let auth = auth(&tokens);
        let cookie = HeaderMap::from_iter([(http::header::COOKIE, "theme=dark".parse().unwrap())]);
        let (caller, _) = grant(&tokens, Verb::Read, None).await;
        let operator = Standing::of(&auth, &cookie, &Caller::Operator, Shown::Ticket);
        let standing = Standing::of(&auth, &cookie, &caller, Shown::Ticket);
        assert!(operator.holds().await && standing.holds().await);
        let Caller::Token(held) = caller else {
            panic!("a token");
        };
        assert!(tokens.revoke(&held.id).await.unwrap());
        assert!(operator.holds().await && !standing.holds().await);
    }

    #[tokio::test]
    async fn a_right_ends_with_its_token() {
        let (_dir, tokens) = store();
        let auth = auth(&tokens);
        // As it is stored.
        let end = reveille_vault::note::millis::truncate(Timestamp::now() + Duration::from_millis(50));
        let (caller, token) = grant(&tokens, Verb::Read, Some(end)).await;
        let standing = Standing::of(&auth, &bearer(&token), &caller, Shown::Token);
        standing.ends().await;
        assert!(Timestamp::now() >= end && !standing.holds().await);
    }

    #[tokio::test]
    async fn open_addresses_tell_more_to_who_may_read() {
        let (_dir, tokens) = store();
        let auth = auth(&tokens);
        let (_, reads) = grant(&tokens, Verb::Read, None).await;
        let (_, writes) = grant(&tokens, Verb::Write, None).await;
        let (_, sends) = grant(&tokens, Verb::Send, None).await;
        let mut told = Vec::new();
        for token in [ADMIN, &reads, &writes, &sends, "pvt_wrong", "wrong"] {
            let mut request = http::Request::new(());
            *request.headers_mut() = bearer(token);
            told.push(may_read(&auth, &request.into_parts().0).await);
        }
        assert_eq!(told, [true, true, true, false, false, false]);
        let stranger = http::Request::new(()).into_parts().0;
        assert!(!may_read(&auth, &stranger).await);
    }
}

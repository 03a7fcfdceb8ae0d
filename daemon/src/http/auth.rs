//! Who may ask. One admin token from the state directory; browsers sign in once by a link and then carry a cookie; a turn
//! has a token of its own while it runs; named tokens reach as far as their scopes.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use super::audit::{peer, turned_away};
use super::base::Base;
use super::caller::{Caller, check_turn};
use super::cors::same_origin;
use super::error::ApiError;
use super::grants::check_grant;
use super::refusal::Refusal;
use super::standing::{Shown, Standing};
use super::tickets::Tickets;
use super::wrong::Wrong;
use crate::delegation::Passes;
use crate::hub::Verifier;
use crate::sessions::Sessions;
use crate::state_dir::secret;
use crate::tokens::{Checked, Tokens};

/// How long a sign-in link works.
const LINK_LIFE: Duration = Duration::from_secs(10 * 60);
/// Open sign-in links at once; the oldest goes first.
const LINKS_MAX: usize = 32;

/// Where clients of the notes API may have their token too.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

type Digest = [u8; 32];

fn digest(text: &str) -> Digest {
    Sha256::digest(text.as_bytes()).into()
}

/// The keeper of the door. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Auth {
    inner: Arc<Inner>,
}

struct Inner {
    token: Digest,
    cookie: String,
    /// Browsers that signed in.
    sessions: Sessions,
    hosts: Vec<String>,
    /// Digest of a code and the end of its life.
    links: Mutex<HashMap<Digest, Instant>>,
    passes: Passes,
    tokens: Tokens,
    /// Whose tokens let in too.
    hub: Option<Verifier>,
    wrong: Wrong,
    tickets: Tickets,
}

impl Auth {
    /// For one admin token, and those that others keep. Cookies are not kept apart by port, so their name carries it.
    pub(crate) fn new(
        token: &str,
        bound: SocketAddr,
        sessions: Sessions,
        hosts: Vec<String>,
        passes: Passes,
        tokens: Tokens,
        hub: Option<Verifier>,
    ) -> Self {
        let inner = Inner {
            token: digest(token),
            cookie: format!("reveille_{}", bound.port()),
            sessions,
            hosts,
            links: Mutex::default(),
            passes,
            tokens,
            hub,
            wrong: Wrong::default(),
            tickets: Tickets::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A fresh one-time code for a sign-in link.
    pub(crate) fn link_code(&self) -> String {
        let code = secret();
        let mut links = self.inner.links.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        links.retain(|_, until| *until > now);
        if links.len() >= LINKS_MAX
            && let Some(oldest) = links.iter().min_by_key(|(_, until)| **until).map(|(code, _)| *code)
        {
            links.remove(&oldest);
        }
        links.insert(digest(&code), now + LINK_LIFE);
        code
    }

    /// The cookie for a code, which is used up by it. `base`: where the browser sees us.
    pub(crate) async fn sign_in(&self, code: &str, base: &Base) -> Option<String> {
        let until = {
            let mut links = self.inner.links.lock().unwrap_or_else(PoisonError::into_inner);
            links.remove(&digest(code))?
        };
        if until <= Instant::now() {
            return None;
        }
        let session = self.inner.sessions.begin().await;
        Some(self.cookie(&session, self.inner.sessions.life(), base))
    }

    /// Whether tokens of a hub let in.
    pub(super) fn takes_hub_tokens(&self) -> bool {
        self.inner.hub.is_some()
    }

    /// The name of the cookie that a browser has.
    pub(crate) fn cookie_name(&self) -> &str {
        &self.inner.cookie
    }

    /// Ends the session whose cookie a request shows, or all of them. Gives the cookie that takes its place.
    ///
    /// # Errors
    /// It is not written down: after a restart it would hold again.
    pub(super) async fn sign_out(&self, headers: &HeaderMap, everywhere: bool, base: &Base) -> io::Result<String> {
        match self.session(headers) {
            _ if everywhere => self.inner.sessions.end_all().await.map(drop)?,
            Some(session) => self.inner.sessions.end(&session).await?,
            None => {}
        }
        Ok(self.cookie("", Duration::ZERO, base))
    }

    /// For the browser. `Secure` where it came by https: then it is not to go over anything else.
    fn cookie(&self, value: &str, life: Duration, base: &Base) -> String {
        let (name, prefix, seconds) = (&self.inner.cookie, &base.prefix, life.as_secs());
        let secure = if base.secure { "; Secure" } else { "" };
        format!("{name}={value}; Path={prefix}/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
    }

    /// Whether a request shows the token of the state directory.
    pub(super) fn holds_token(&self, headers: &HeaderMap) -> bool {
        credential(headers).is_some_and(|token| self.is_admin(token))
    }

    /// Whether a request shows a token of any kind; whether it is good for anything was looked at when it was let in.
    pub(super) fn shows_token(&self, headers: &HeaderMap) -> bool {
        credential(headers).is_some()
    }

    /// Tickets for streams that nobody has used yet.
    pub(super) fn tickets(&self) -> &Tickets {
        &self.inner.tickets
    }

    /// A wrong token or code came. `Some`: so many came from there that it is not answered any more.
    pub(super) fn wrong(&self, peer: IpAddr) -> Option<Duration> {
        self.inner.wrong.count(peer)
    }

    fn is_admin(&self, token: &str) -> bool {
        bool::from(digest(token).ct_eq(&self.inner.token))
    }

    /// The session whose cookie a request shows, whether or not it is one.
    fn session(&self, headers: &HeaderMap) -> Option<String> {
        let cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let mut pairs = cookies
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = pairs.find(|(name, _)| *name == self.inner.cookie)?;
        Some(value.to_owned())
    }

    fn holds_cookie(&self, headers: &HeaderMap) -> bool {
        let session = self.session(headers);
        session.is_some_and(|session| self.inner.sessions.holds(&session))
    }

    /// Whether who was let in once, and cannot show that again, would be let in now.
    pub(super) async fn stands(&self, caller: &Caller) -> bool {
        match (caller, &self.inner.hub) {
            (Caller::Operator, _) => true,
            // A turn asks for nothing that lasts.
            (Caller::Turn(_), _) => false,
            // What the hub takes back is in its list alone.
            (Caller::Token(grant), Some(hub)) if grant.is_of_hub() => grant.holds() && hub.stands(&grant.id).await,
            (Caller::Token(grant), _) => grant.holds() && !grant.is_of_hub(),
        }
    }

    /// Whether the request names a host that is ours. A foreign name that leads to loopback is an attack (DNS rebinding);
    /// an IP address cannot be one.
    fn host_is_ours(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        // Of two it is anybody's guess which one others have looked at.
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return false;
        };
        host.to_str().is_ok_and(|host| self.is_our_name(host))
            && uri.authority().is_none_or(|said| self.is_our_name(said.as_str()))
    }

    /// Whether a host, with its port or without, is one of ours.
    fn is_our_name(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, port)| {
            if port.bytes().all(|c| c.is_ascii_digit()) {
                name
            } else {
                host
            }
        });
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok()
            || self.inner.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
            // A hub that shows us under its name may leave it in the request. Who else can make that name lead here?
            || self.inner.hub.as_ref().is_some_and(|hub| hub.is_host(name))
    }
}

/// The token that a request carries: as a bearer, or else as clients of the notes API send it.
fn credential(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim); // silent-ok: no text, so no token of ours
    let bearer = text(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or_else(|| text(API_KEY)).filter(|token| !token.is_empty())
}

/// Refuses requests under a foreign host name, before anything else.
pub(crate) async fn check_host(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    if auth.host_is_ours(request.headers(), request.uri()) {
        return next.run(request).await;
    }
    ApiError::new(
        StatusCode::MISDIRECTED_REQUEST,
        "unknown_host",
        "This daemon does not answer under that host name.",
    )
    .then("Use http://127.0.0.1, or add the name to `[server] hosts`.")
    .into_response()
}

/// Lets a request pass that carries the admin token, a named token, the cookie of a browser that signed in, or the token of a
/// turn that runs; those but the first and the cookie only as far as they reach. The handlers find the [`Caller`] in the
/// request.
pub(crate) async fn check_caller(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    match auth.admit(request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.answer(&path),
    }
}

impl Auth {
    async fn admit(&self, request: Request) -> Result<Request, Refusal> {
        let (caller, shown) = self.recognise(&request).await?;
        let mut request = match &caller {
            Caller::Operator => request,
            Caller::Turn(origin) => check_turn(origin, request).await?,
            Caller::Token(grant) => check_grant(grant, request).await?,
        };
        let standing = Standing::of(self, request.headers(), &caller, shown);
        request.extensions_mut().insert(standing);
        request.extensions_mut().insert(caller);
        Ok(request)
    }

    /// Who sent a request. A token that it shows decides, also when there is a cookie beside it.
    ///
    /// # Errors
    /// Nobody who is let in.
    pub(crate) fn identify(&self, request: &Request) -> impl Future<Output = Result<Caller, Refusal>> + Send + use<> {
        let known = self.recognise(request);
        async move { known.await.map(|(caller, _)| caller) }
    }

    /// The same, and by what it is known.
    // The future must not hold the request, whose body cannot be shared.
    fn recognise(&self, request: &Request) -> impl Future<Output = Result<(Caller, Shown), Refusal>> + Send + use<> {
        let shown = credential(request.headers()).map(str::to_owned);
        let without = shown.is_none().then(|| self.without_token(request));
        let (auth, peer, path) = (self.clone(), peer(request), request.uri().path().to_owned());
        async move {
            let Some(token) = shown else {
                let known = without.unwrap_or(Err(Refusal::Nobody))?;
                // It was looked at when the ticket was made; that may have been before it was revoked.
                return match known.1 {
                    Shown::Ticket if !auth.stands(&known.0).await => Err(Refusal::Wrong),
                    Shown::Ticket | Shown::Cookie | Shown::Token => Ok(known),
                };
            };
            let holder = auth.holder(&token).await.map(|caller| (caller, Shown::Token));
            holder.map_err(|refusal| match refusal {
                // Somebody was given that one, or nobody can tell.
                Refusal::Expired | Refusal::Unchecked => refusal,
                refusal => match auth.wrong(peer) {
                    Some(wait) => Refusal::TooMany { wait },
                    None => {
                        turned_away(peer, "wrong token", &path);
                        refusal
                    }
                },
            })
        }
    }

    fn without_token(&self, request: &Request) -> Result<(Caller, Shown), Refusal> {
        let headers = request.headers();
        if let Some(whose) = self.inner.tickets.take(request) {
            return whose.map(|caller| (caller, Shown::Ticket)).map_err(Refusal::from);
        }
        if !self.holds_cookie(headers) {
            return Err(if has_key(request.uri()) {
                Refusal::KeyInUrl
            } else {
                Refusal::Nobody
            });
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if reads || same_origin(headers, request.extensions().get()) {
            return Ok((Caller::Operator, Shown::Cookie));
        }
        let message = "The request came from another site.";
        Err(ApiError::new(StatusCode::FORBIDDEN, "cross_site", message).into())
    }

    async fn holder(&self, token: &str) -> Result<Caller, Refusal> {
        if Passes::is_one(token) {
            let origin = self.inner.passes.check(token).ok_or_else(turn_is_over)?;
            return Ok(Caller::Turn(origin));
        }
        if Tokens::is_one(token) {
            return match self.inner.tokens.check(token) {
                Checked::Valid(grant) => Ok(Caller::Token(grant)),
                Checked::Expired => Err(Refusal::Expired),
                Checked::Unknown => Err(Refusal::Wrong),
            };
        }
        if self.is_admin(token) {
            return Ok(Caller::Operator);
        }
        match &self.inner.hub {
            Some(hub) if Verifier::is_one(token) => match hub.check(token).await {
                Ok(grant) => Ok(Caller::Token(grant)),
                Err(unfit) if unfit.is_outage() => Err(Refusal::Unchecked),
                Err(_) => Err(Refusal::Wrong),
            },
            _ => Err(Refusal::Wrong),
        }
    }
}

/// Whether somebody put a key into the URL, as other daemons allow.
fn has_key(uri: &Uri) -> bool {
    let query = uri.query().unwrap_or_default().as_bytes();
    url::form_urlencoded::parse(query).any(|(name, value)| name == "key" && !value.is_empty())
}

fn turn_is_over() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "turn_is_over",
        "This token belongs to no turn that runs now; the token of a turn ends with the turn.",
    )
    .then("Nothing was done. What is still to do belongs into another turn: send the agent a message.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> Auth {
        Auth::new(
            "secret",
            SocketAddr::from(([127, 0, 0, 1], 7)),
            sessions(),
            vec!["box.lan".into()],
            passes(),
            tokens(),
            None,
        )
    }

    fn tokens() -> Tokens {
        let dir = tempfile::tempdir().unwrap();
        Tokens::open(&dir.path().join("tokens.db")).unwrap()
    }

    fn sessions() -> Sessions {
        let dir = tempfile::tempdir().unwrap();
        Sessions::open(dir.keep().join("sessions.json"), "secret", Duration::from_secs(60))
    }

    fn passes() -> Passes {
        Passes::new("http://127.0.0.1:7".into(), None)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn base(secure: bool) -> Base {
        Base {
            origin: "http://127.0.0.1:7".into(),
            prefix: String::new(),
            secure,
        }
    }

    #[tokio::test]
    async fn a_code_signs_in_once_and_the_cookie_holds_until_it_signs_out() {
        let (auth, base) = (auth(), base(false));
        let code = auth.link_code();
        let cookie = auth.sign_in(&code, &base).await.unwrap();
        assert_eq!(auth.sign_in(&code, &base).await, None);
        let pair = cookie.split(';').next().unwrap();
        let shown = headers(&[("cookie", &format!("other=1; {pair}"))]);
        assert!(auth.holds_cookie(&shown));
        let forged = pair.replace("reveille_7=", "reveille_7=9");
        assert!(!auth.holds_cookie(&headers(&[("cookie", &forged)])));
        assert!(!auth.holds_cookie(&headers(&[("cookie", "reveille_7=")])));
        let other = auth.sign_in(&auth.link_code(), &base).await.unwrap();
        let other = headers(&[("cookie", other.split(';').next().unwrap())]);
        let out = auth.sign_out(&shown, false, &base).await.unwrap();
        assert!(out.starts_with("reveille_7=; ") && out.contains("Max-Age=0"), "{out}");
        assert!(!auth.holds_cookie(&shown) && auth.holds_cookie(&other));
        auth.sign_out(&HeaderMap::new(), true, &base).await.unwrap();
        assert!(!auth.holds_cookie(&other));
    }

    #[tokio::test]
    async fn a_cookie_is_for_https_alone_where_it_came_by_that() {
        for secure in [true, false] {
            let auth = auth();
            let cookie = auth.sign_in(&auth.link_code(), &base(secure)).await.unwrap();
            assert_eq!(cookie.ends_with("; Secure"), secure, "{cookie}");
        }
    }

    #[test]
    fn the_token_is_compared_whole() {
        for (value, expected) in [
            ("Bearer secret", true),
            ("bearer secret", true),
            ("Bearer secre", false),
            ("Bearer ", false),
            ("secret", false),
        ] {
            let shown = headers(&[("authorization", value)]);
            let holds = credential(&shown).is_some_and(|token| auth().is_admin(token));
            assert_eq!(holds, expected, "{value}");
        }
    }

    #[test]
    fn only_our_hosts_are_served() {
        for (host, expected) in [
            ("127.0.0.1:1941", true),
            ("localhost", true),
            ("[::1]:1941", true),
            ("192.168.1.4:80", true),
            ("box.lan:1941", true),
            ("evil.example", false),
            ("localhost.evil.example:1941", false),
        ] {
            let (said, address) = (headers(&[("host", host)]), Uri::from_static("/"));
            assert_eq!(auth().host_is_ours(&said, &address), expected, "{host}");
        }
        let foreign = Uri::from_static("http://evil.example/");
        assert!(!auth().host_is_ours(&headers(&[("host", "localhost")]), &foreign));
        let twice = headers(&[("host", "localhost"), ("host", "localhost")]);
        assert!(!auth().host_is_ours(&twice, &Uri::from_static("/")));
    }
}

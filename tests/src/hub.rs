//! A double of a Parachute hub: a real server on loopback that makes tokens for vaults and keeps grants, its refusals included.
//! Grants and minted tokens outlive [`HubDouble::restart`].
//!
//! This module is compiled into two crates; it uses nothing of either.

#[path = "hub/keys.rs"]
pub mod keys;
#[path = "hub/open.rs"]
mod open;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// What the operator shows.
pub const TOKEN: &str = "hub-operator-0123456789abcdefghijklmnop";

/// What goes wrong. `default()`: nothing.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Nothing is answered, and nothing is done.
    pub hang: bool,
    /// Everything is answered with a page that is no JSON.
    pub garble: bool,
    /// Refusals repeat what they were shown.
    pub echo: bool,
    /// Status of every `POST /api/auth/mint-token`, with the hub's word for it.
    pub mint: Option<(u16, &'static str)>,
    /// Tokens are made and not answered.
    pub mint_nothing: bool,
    /// Status of every `PUT /admin/grants`.
    pub put: Option<u16>,
    /// Status of every `GET /admin/grants`.
    pub list: Option<u16>,
    /// Status of every `GET /admin/grants/{id}/material`.
    pub material: Option<u16>,
    /// Status of every `POST /admin/grants/reconcile`.
    pub reconcile: Option<u16>,
    /// Status of every request for its keys.
    pub keys: Option<u16>,
    /// Status of every request for what it has revoked.
    pub revoked: Option<u16>,
    /// Everything is answered with many bytes.
    pub flood: bool,
}

/// What the hub was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Verb, path and query.
    pub line: String,
    /// JSON; null when there was none.
    pub body: Value,
    /// The bearer was the operator's.
    pub let_in: bool,
}

/// A grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubGrant {
    /// Of the hub.
    pub id: String,
    /// Whose it is.
    pub agent: String,
    /// What is wanted.
    pub connection: Value,
    /// `pending`, `approved` and so on.
    pub status: String,
    /// Why.
    pub reason: Option<String>,
    /// What it gives once it is approved.
    pub material: Value,
}

impl HubGrant {
    fn view(&self) -> Value {
        let mut view = json!({
            "id": self.id, "agent": self.agent, "connection": self.connection, "status": self.status,
        });
        if let Some(reason) = &self.reason {
            view["reason"] = reason.as_str().into();
        }
        view
    }
}

#[derive(Default)]
struct Store {
    grants: Vec<HubGrant>,
    /// Ids are given once.
    given: usize,
    /// The requests for tokens, with the token of each.
    minted: Vec<(Value, String)>,
    /// What is minted next, instead of something made up.
    next_tokens: Vec<String>,
    /// How long tokens are good, in seconds.
    lives: Option<i64>,
}

struct Shared {
    faults: Mutex<Faults>,
    signing: Mutex<open::Signing>,
    store: Mutex<Store>,
    log: Mutex<Vec<Asked>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The double.
pub struct HubDouble {
    shared: Arc<Shared>,
    address: SocketAddr,
    life: Mutex<Option<Runtime>>,
}

impl HubDouble {
    /// Starts an empty one.
    ///
    /// # Errors
    /// No port is free.
    pub fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            faults: Mutex::default(),
            signing: Mutex::new(open::Signing::new()?),
            store: Mutex::default(),
            log: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let life = serve(Arc::clone(&shared), listener)?;
        Ok(Self {
            shared,
            address,
            life: Mutex::new(Some(life)),
        })
    }

    /// Where it serves.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills it: every connection breaks.
    pub fn kill(&self) {
        if let Some(life) = lock(&self.life).take() {
            life.shutdown_background();
        }
    }

    /// Kills it if it lives, and starts it again at the same address.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn restart(&self) -> std::io::Result<()> {
        self.kill();
        let until = tokio::time::Instant::now() + Duration::from_secs(10);
        let listener = loop {
            // The dead one may hold it for a moment.
            match TcpListener::bind(self.address) {
                Err(error) if tokio::time::Instant::now() > until => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                Ok(listener) => break listener,
            }
        };
        *lock(&self.life) = Some(serve(Arc::clone(&self.shared), listener)?);
        Ok(())
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut lock(&self.shared.faults));
    }

    /// What the hub was asked since the last time.
    pub fn take_log(&self) -> Vec<Asked> {
        std::mem::take(&mut *lock(&self.shared.log))
    }

    /// What the hub was asked since then, as it is kept on.
    #[must_use]
    pub fn log(&self) -> Vec<Asked> {
        lock(&self.shared.log).clone()
    }

    /// The grants of an agent, in the order in which they were asked for.
    #[must_use]
    pub fn grants(&self, agent: &str) -> Vec<HubGrant> {
        let store = lock(&self.shared.store);
        store.grants.iter().filter(|one| one.agent == agent).cloned().collect()
    }

    /// Changes the grants of an agent to a target, as the hub's operator or time does. Answers whether there was one.
    pub fn change_grant(&self, agent: &str, target: &str, change: impl Fn(&mut HubGrant)) -> bool {
        let mut store = lock(&self.shared.store);
        let mut ours = store
            .grants
            .iter_mut()
            .filter(|one| one.agent == agent && one.connection["target"] == target)
            .peekable();
        let any = ours.peek().is_some();
        ours.for_each(change);
        any
    }

    /// Approves what an agent wants of a target, with this material. Answers whether there was something to approve.
    pub fn approve(&self, agent: &str, target: &str, material: &Value) -> bool {
        self.change_grant(agent, target, |grant| {
            grant.status = "approved".into();
            grant.reason = None;
            grant.material = material.clone();
        })
    }

    /// Takes back what an agent was granted. Answers whether there was something.
    pub fn revoke(&self, agent: &str, target: &str) -> bool {
        self.change_grant(agent, target, |grant| {
            grant.status = "revoked".into();
            grant.material = Value::Null;
        })
    }

    /// The next token that is asked for is this one.
    pub fn mint_next(&self, token: &str) {
        lock(&self.shared.store).next_tokens.push(token.to_owned());
    }

    /// How many seconds the next tokens are good.
    pub fn set_token_life(&self, seconds: i64) {
        lock(&self.shared.store).lives = Some(seconds);
    }

    /// What tokens were asked for, with the token that was made for each.
    #[must_use]
    pub fn minted(&self) -> Vec<(Value, String)> {
        lock(&self.shared.store).minted.clone()
    }
}

impl Drop for HubDouble {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One life of the server: when the runtime ends, so do its connections.
// Also read into the tests of the daemon, where the lint does not look.
#[allow(clippy::print_stderr, reason = "a double has no log")]
fn serve(shared: Arc<Shared>, listener: TcpListener) -> std::io::Result<Runtime> {
    listener.set_nonblocking(true)?;
    let life = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    life.spawn(async move {
        let router = Router::new().fallback(handle).with_state(shared);
        let served = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => axum::serve(listener, router).await,
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            eprintln!("the double of the hub ended: {error}");
        }
    });
    Ok(life)
}

type Reply = (u16, Value);

fn answer(status: u16, kind: &str, body: String) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    if let Ok(kind) = kind.parse() {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

fn bearer(headers: &HeaderMap) -> &str {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default()
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes: Bytes = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let shown = bearer(&parts.headers).to_owned();
    lock(&shared.log).push(Asked {
        line: format!("{} {}", parts.method, parts.uri),
        body: body.clone(),
        let_in: shown == TOKEN,
    });
    let faults = lock(&shared.faults).clone();
    if faults.hang {
        return std::future::pending().await;
    }
    if faults.garble {
        return answer(200, "text/html", "<html>Welcome</html>".into());
    }
    if faults.flood {
        return answer(200, "application/json", " ".repeat(8 << 20));
    }
    if let Some((status, reply)) = open::route(&shared, parts.uri.path()) {
        return answer(status, "application/json", reply.to_string());
    }
    let (status, mut reply) = route(&shared, &faults, &parts.method, &parts.uri, &body, &shown);
    if faults.echo && status >= 400 {
        reply["error_description"] = format!("you have shown {shown}").into();
    }
    answer(status, "application/json", reply.to_string())
}

fn made(status: u16, word: &str) -> Reply {
    (
        status,
        json!({ "error": word, "error_description": "a refusal of the double" }),
    )
}

fn route(shared: &Shared, faults: &Faults, method: &Method, uri: &Uri, body: &Value, shown: &str) -> Reply {
    let segments: Vec<&str> = uri.path().split('/').skip(1).collect();
    let refused = |status: Option<u16>| status.map(|status| made(status, "made"));
    if shown != TOKEN {
        return made(401, "unauthorized");
    }
    match (method.as_str(), segments.as_slice()) {
        ("POST", ["api", "auth", "mint-token"]) => mint(shared, faults, body),
        ("PUT", ["admin", "grants"]) => refused(faults.put).unwrap_or_else(|| put(shared, body)),
        ("GET", ["admin", "grants"]) => refused(faults.list).unwrap_or_else(|| list(shared, uri)),
        ("POST", ["admin", "grants", "reconcile"]) => {
            refused(faults.reconcile).unwrap_or_else(|| reconcile(shared, body))
        }
        ("GET", ["admin", "grants", id, "material"]) => {
            refused(faults.material).unwrap_or_else(|| material(shared, &decoded(id)))
        }
        _ => made(404, "not_found"),
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn mint(shared: &Shared, faults: &Faults, body: &Value) -> Reply {
    if let Some((status, word)) = faults.mint {
        return made(status, word);
    }
    let Some(scope) = body["scope"].as_str().filter(|scope| !scope.is_empty()) else {
        return made(400, "invalid_scope");
    };
    let mut store = lock(&shared.store);
    let number = store.minted.len() + 1;
    let token = match store.next_tokens.is_empty() {
        true => format!("minted-{number}-0123456789abcdefghijklmnop"),
        false => store.next_tokens.remove(0),
    };
    store.minted.push((body.clone(), token.clone()));
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(store.lives.unwrap_or(90 * 24 * 60 * 60));
    let mut made = json!({ "jti": format!("jti-{number}"), "token": token, "expires_at": expires, "scope": scope });
    if faults.mint_nothing {
        made["token"] = Value::Null;
    }
    if let Some(permissions) = body.get("permissions") {
        made["permissions"] = permissions.clone();
    }
    (200, made)
}

/// Two connections are one grant when they are for the same thing.
fn is_same(one: &Value, other: &Value) -> bool {
    let sorted = |value: &Value| {
        let tags = value["tags"].as_array().into_iter().flatten();
        let mut tags: Vec<String> = tags.map(ToString::to_string).collect();
        tags.sort();
        tags
    };
    ["kind", "target", "access"].iter().all(|key| one[key] == other[key]) && sorted(one) == sorted(other)
}

fn put(shared: &Shared, body: &Value) -> Reply {
    let (Some(agent), connection) = (body["agent"].as_str(), &body["connection"]) else {
        return made(400, "invalid_request");
    };
    if !connection["kind"].is_string() || !connection["target"].is_string() {
        return made(400, "invalid_request");
    }
    let mut store = lock(&shared.store);
    let known = store
        .grants
        .iter_mut()
        .find(|one| one.agent == agent && is_same(&one.connection, connection));
    if let Some(known) = known {
        known.connection = connection.clone();
        return (200, known.view());
    }
    store.given += 1;
    let grant = HubGrant {
        id: format!("grant/{}", store.given),
        agent: agent.to_owned(),
        connection: connection.clone(),
        status: "pending".into(),
        reason: None,
        material: Value::Null,
    };
    let view = grant.view();
    store.grants.push(grant);
    (200, view)
}

fn list(shared: &Shared, uri: &Uri) -> Reply {
    let query = uri.query().unwrap_or_default();
    let agent = query.split('&').find_map(|pair| pair.strip_prefix("agent="));
    let agent = agent.map(decoded);
    let store = lock(&shared.store);
    let wanted = store
        .grants
        .iter()
        .filter(|one| agent.as_ref().is_none_or(|agent| one.agent == *agent));
    (200, json!({ "grants": wanted.map(HubGrant::view).collect::<Vec<_>>() }))
}

fn material(shared: &Shared, id: &str) -> Reply {
    let store = lock(&shared.store);
    match store.grants.iter().find(|one| one.id == id) {
        None => made(404, "grant_not_found"),
        Some(grant) if grant.status != "approved" => made(409, "grant_not_approved"),
        Some(grant) => (200, grant.material.clone()),
    }
}

fn reconcile(shared: &Shared, body: &Value) -> Reply {
    let (Some(agent), Some(live)) = (body["agent"].as_str(), body["liveConnections"].as_array()) else {
        return made(400, "invalid_request");
    };
    let mut store = lock(&shared.store);
    let stays = |grant: &HubGrant| grant.agent != agent || live.iter().any(|one| is_same(one, &grant.connection));
    let pruned: Vec<String> = store
        .grants
        .iter()
        .filter(|grant| !stays(grant))
        .map(|grant| grant.id.clone())
        .collect();
    store.grants.retain(stays);
    (200, json!({ "pruned": pruned.len(), "prunedIds": pruned }))
}

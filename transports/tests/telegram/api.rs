//! A Bot API on loopback: a real server that keeps updates until they are confirmed, and misbehaves on demand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::serve::Listener;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(crate) const TOKEN: &str = "4711:AAE-the_secret_half_of_the_token";

/// How one call is answered instead.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// With this status and body.
    Status(u16, Value),
    /// With something that is no JSON and names the token.
    Garbage,
    /// With so many bytes.
    Huge(usize),
    /// The connection breaks before any answer; the call is not done.
    Cut,
    /// Never; the call is not done.
    Hold,
    /// As it should be.
    Fine,
}

#[derive(Default)]
pub(crate) struct Inner {
    /// What is not confirmed, by number.
    pub(crate) updates: BTreeMap<i64, Value>,
    next: i64,
    /// For the next calls of a method, first one first.
    pub(crate) faults: BTreeMap<String, Vec<Fault>>,
    /// Every call that was done: its method and arguments (the text of a form).
    pub(crate) calls: Vec<(String, Value)>,
    messages: i64,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Polls under way.
    pub(crate) polls: usize,
    /// With a seed, answers to polls leave updates out (each at most twice), repeat old ones and are shuffled.
    pub(crate) chaos: Option<u64>,
    /// The number from which each poll asked for updates.
    pub(crate) offsets: Vec<Option<i64>>,
    withheld: BTreeMap<i64, u32>,
    confirmed: Vec<Value>,
}

impl Inner {
    fn random(&mut self, below: u64) -> u64 {
        let Some(seed) = &mut self.chaos else { return u64::MAX };
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    /// What a poll is answered with.
    fn poll(&mut self, offset: Option<i64>, limit: usize) -> Vec<Value> {
        if let Some(offset) = offset {
            let rest = self.updates.split_off(&offset);
            self.confirmed
                .extend(std::mem::replace(&mut self.updates, rest).into_values());
        }
        let mut answer = Vec::new();
        for (id, update) in self.updates.clone().into_iter().take(limit) {
            let times = *self.withheld.get(&id).unwrap_or(&0);
            if times < 2 && self.random(4) == 0 {
                self.withheld.insert(id, times + 1);
            } else {
                answer.push(update);
            }
        }
        if self.chaos.is_some() {
            if !self.confirmed.is_empty() && self.random(2) == 0 {
                let index = usize::try_from(self.random(self.confirmed.len() as u64)).unwrap();
                answer.push(self.confirmed[index].clone());
            }
            if let Some(first) = answer.first().cloned() {
                answer.push(first);
            }
            for last in (1..answer.len()).rev() {
                let other = usize::try_from(self.random(last as u64 + 1)).unwrap();
                answer.swap(last, other);
            }
        }
        answer
    }
}

#[derive(Clone)]
pub(crate) struct Api {
    inner: Arc<Mutex<Inner>>,
    pub(crate) base: String,
    stop: CancellationToken,
}

impl Drop for Api {
    fn drop(&mut self) {
        // The server has a copy too.
        if Arc::strong_count(&self.inner) <= 2 {
            self.stop.cancel();
        }
    }
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), "http")
    }

    /// On a socket that may speak TLS.
    pub(crate) fn serve<L: Listener<Addr = SocketAddr>>(listener: L, scheme: &str) -> Self {
        let base = format!("{scheme}://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Mutex::new(Inner {
            next: 100,
            ..Inner::default()
        }));
        let stop = CancellationToken::new();
        let router = Router::new().fallback(answers).with_state(Arc::clone(&inner));
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopped).await });
        Self { inner, base, stop }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn fault(&self, method: &str, faults: &[Fault]) {
        self.lock()
            .faults
            .entry(method.to_owned())
            .or_default()
            .extend_from_slice(faults);
    }

    /// Something happened.
    pub(crate) fn push(&self, mut update: Value) {
        let mut inner = self.lock();
        let id = inner.next;
        inner.next += 1;
        update["update_id"] = json!(id);
        inner.updates.insert(id, update);
    }

    /// Somebody writes in their private chat.
    pub(crate) fn text(&self, user: i64, message: i64, text: &str) {
        self.push(json!({"message": message_of(user, message, &json!({"text": text}))}));
    }

    /// The arguments of all calls of a method.
    pub(crate) fn calls(&self, method: &str) -> Vec<Value> {
        let inner = self.lock();
        inner
            .calls
            .iter()
            .filter(|(name, _)| name == method)
            .map(|(_, arguments)| arguments.clone())
            .collect()
    }

    /// The texts that were sent.
    pub(crate) fn texts(&self) -> Vec<String> {
        let sent = self.calls("sendMessage");
        sent.iter()
            .map(|sent| sent["text"].as_str().unwrap().to_owned())
            .collect()
    }
}

pub(crate) fn message_of(user: i64, message: i64, fields: &Value) -> Value {
    let mut all = json!({"message_id": message, "from": {"id": user, "first_name": "Ada"}, "chat": {"id": user, "type": "private"}, "date": 1_700_000_000});
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    all
}

fn answer(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).unwrap()
}

async fn answers(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if let Some(file) = path.strip_prefix(&format!("/file/bot{TOKEN}/")) {
        let found = inner.lock().unwrap().files.get(file).cloned();
        return found.map_or_else(|| answer(404, "no"), |content| answer(200, content));
    }
    let Some(method) = path.strip_prefix(&format!("/bot{TOKEN}/")).map(str::to_owned) else {
        return answer(
            401,
            json!({"ok": false, "error_code": 401, "description": "Unauthorized"}).to_string(),
        );
    };
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let body = axum::body::to_bytes(request.into_body(), 64 << 20).await.unwrap();
    let fault = {
        let mut inner = inner.lock().unwrap();
        let faults = inner.faults.entry(method.clone()).or_default();
        (!faults.is_empty()).then(|| faults.remove(0))
    };
    match fault {
        Some(Fault::Status(status, mut body)) => {
            body["ok"] = json!(false);
            body["error_code"] = json!(status);
            return answer(status, body.to_string());
        }
        Some(Fault::Garbage) => return answer(200, format!("<html>bot{TOKEN}/ and {}", &TOKEN[5..])),
        Some(Fault::Huge(bytes)) => return answer(200, vec![b'x'; bytes]),
        Some(Fault::Cut) => {
            let broken: Result<Bytes, std::io::Error> = Err(std::io::Error::other("cut"));
            return answer(200, Body::from_stream(Once(Some(broken))));
        }
        Some(Fault::Hold) => std::future::pending().await,
        Some(Fault::Fine) | None => {}
    }
    let result = match method.as_str() {
        "getUpdates" => {
            inner.lock().unwrap().polls += 1;
            let found = updates(&inner, &query).await;
            inner.lock().unwrap().polls -= 1;
            json!(found)
        }
        "getMe" => json!({"id": 4711, "username": "scribe_bot", "first_name": "S"}),
        "getFile" => {
            let arguments: Value = serde_json::from_slice(&body).unwrap();
            json!({"file_path": format!("photos/{}.JPG", arguments["file_id"].as_str().unwrap())})
        }
        _ => {
            let arguments = serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body)));
            let mut inner = inner.lock().unwrap();
            inner.calls.push((method, arguments));
            inner.messages += 1;
            json!({"message_id": inner.messages})
        }
    };
    answer(200, json!({"ok": true, "result": result}).to_string())
}

async fn updates(inner: &Mutex<Inner>, query: &BTreeMap<String, String>) -> Vec<Value> {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok());
    let limit = usize::try_from(number("limit").unwrap()).unwrap();
    let until = tokio::time::Instant::now() + Duration::from_secs(u64::try_from(number("timeout").unwrap()).unwrap());
    inner.lock().unwrap().offsets.push(number("offset"));
    loop {
        let found = inner.lock().unwrap().poll(number("offset"), limit);
        if !found.is_empty() || tokio::time::Instant::now() >= until {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A body of one frame.
struct Once(Option<Result<Bytes, std::io::Error>>);

impl futures_util::Stream for Once {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.take())
    }
}

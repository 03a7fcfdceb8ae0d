//! A receiver of webhooks over a real socket, and Python's standard library as the judge of signatures.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

/// How the receiver answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    With(u16, &'static str, String),
    /// Takes it, and cuts the connection instead of an answer.
    Cut,
    Hang,
    /// An endless body.
    Flood,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// It was answered with success.
    pub(crate) fine: bool,
}

impl Call {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(each, _)| each == name)
            .map_or("", |(_, value)| value)
    }
}

#[derive(Default)]
struct Inner {
    calls: Vec<Call>,
    replies: VecDeque<Reply>,
    always: Option<Reply>,
    /// Answers 413 above that many bytes.
    most: Option<usize>,
}

#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) at: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            at: listener.local_addr().unwrap(),
            inner: Arc::default(),
        };
        let served = receiver.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let each = served.clone();
                let service = service_fn(move |request| each.clone().answer(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.at)
    }

    pub(crate) fn always(&self, reply: Option<Reply>) {
        self.inner.lock().unwrap().always = reply;
    }

    pub(crate) fn next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.inner.lock().unwrap().replies.extend(replies);
    }

    pub(crate) fn most(&self, bytes: Option<usize>) {
        self.inner.lock().unwrap().most = bytes;
    }

    /// All calls.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.inner.lock().unwrap().calls.clone()
    }

    /// Those that were answered with success.
    pub(crate) fn fine(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.fine).collect()
    }

    async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<http_body_util::Either<Full<Bytes>, Endless>>, String> {
        let headers = request.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
            .collect();
        let body = request
            .into_body()
            .collect()
            .await
            .map_err(|error| error.to_string())?
            .to_bytes();
        let reply = {
            let mut inner = self.inner.lock().unwrap();
            let long = inner
                .most
                .is_some_and(|most| body.len() > most)
                .then_some(Reply::Status(413));
            let always = inner.always.clone();
            let reply = long
                .or_else(|| inner.replies.pop_front())
                .or(always)
                .unwrap_or(Reply::Status(200));
            let fine = matches!(reply, Reply::Status(200..=299) | Reply::Flood);
            inner.calls.push(Call { headers, body, fine });
            reply
        };
        let plain = |status: u16| Response::builder().status(status);
        let empty = || http_body_util::Either::Left(Full::default());
        match reply {
            Reply::Status(status) => Ok(plain(status).body(empty()).unwrap()),
            Reply::With(status, name, value) => Ok(plain(status).header(name, value).body(empty()).unwrap()),
            Reply::Cut => Err("cut".into()),
            Reply::Hang => std::future::pending().await,
            Reply::Flood => Ok(plain(200).body(http_body_util::Either::Right(Endless)).unwrap()),
        }
    }
}

/// Never ends.
pub(crate) struct Endless;

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(Bytes::from_static(&[b'x'; 1024])))))
    }
}

const JUDGE: &str = r#"
import base64, hashlib, hmac, json, sys
seen = set()
for line in sys.stdin:
    call = json.loads(line)
    h, body, now = call["headers"], base64.b64decode(call["body"]), call["now"]
    if call["profile"] == "standard":
        key = base64.b64decode(call["secret"].removeprefix("whsec_"))
        signed = f"{h['webhook-id']}.{h['webhook-timestamp']}.".encode() + body
        want = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        fine = any(hmac.compare_digest(want, each) for each in h["webhook-signature"].split())
        fresh, once = abs(now - int(h["webhook-timestamp"])) <= 300, h["webhook-id"]
    else:
        signed = f"{h['x-supervisor-timestamp']}.{h['x-supervisor-nonce']}.".encode() + body
        want = "sha256=" + hmac.new(call["secret"].encode(), signed, hashlib.sha256).hexdigest()
        fine = hmac.compare_digest(want, h["x-supervisor-signature"]) and h["authorization"] == "Bearer " + call["secret"]
        fresh, once = abs(now * 1000 - int(h["x-supervisor-timestamp"])) <= 300000, h["x-supervisor-nonce"]
    print("forged" if not fine else "stale" if not fresh else "replay" if once in seen else "fine")
    seen.add(once)
"#;

/// What a receiver that is written in another language thinks of the calls, one after the other.
pub(crate) fn judge(profile: &str, secret: &str, now: i64, calls: &[Call]) -> Vec<String> {
    let mut python = Command::new("python3")
        .args(["-c", JUDGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = String::new();
    for call in calls {
        let headers: serde_json::Map<_, _> = call
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        let body = base64::engine::general_purpose::STANDARD.encode(&call.body);
        let line = json!({"profile": profile, "secret": secret, "now": now, "headers": headers, "body": body});
        lines.push_str(&format!("{line}\n"));
    }
    let mut stdin = python.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "it never came: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether the reference implementation of Standard Webhooks takes the call now.
pub(crate) fn is_standard(secret: &str, call: &Call) -> bool {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, call.header(name).parse().unwrap());
    }
    let judge = standardwebhooks::Webhook::new(secret).unwrap();
    judge.verify(&call.body, &headers).is_ok()
}

//! The calls of the Bot API that the bridge makes. No error holds the token or an address with it.

mod error;
mod form;
mod http;
mod types;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::http::{Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

pub(crate) use error::{ApiError, Fault};
pub(crate) use form::Upload;
pub(crate) use types::{Content, File, Message, Pressed, Remote, Sent, Update, User};

use http::{Http, connect, innermost};

use super::token::Token;

/// Longest wait for the answer to a call that is no long poll.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest wait while a file goes over the line.
const PATIENCE_WITH_FILES: Duration = Duration::from_secs(5 * 60);

/// Most bytes of an answer; a hundred of the longest messages are less.
const ANSWER_BYTES: usize = 8 << 20;

/// If the server says 429 and not how long.
const FLOOD: Duration = Duration::from_secs(5);

/// Most characters of what the server says that go into an error.
const QUOTED: usize = 300;

/// The kinds of updates that are asked for.
const ALLOWED: &str = "[\"message\",\"edited_message\",\"callback_query\"]";

/// A bot, as its owner drives it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    /// Once it is needed: a system that knows no certificate authorities now may know some later.
    http: Arc<OnceLock<Http>>,
    secure: bool,
    base: String,
    token: Token,
}

impl Api {
    pub(crate) fn new(base: &Url, token: Token) -> Self {
        Self {
            http: Arc::default(),
            secure: base.scheme() == "https",
            base: base.as_str().trim_end_matches('/').to_owned(),
            token,
        }
    }

    fn http(&self, what: &str) -> Result<&Http, ApiError> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let made = connect(self.secure);
        let made = made.map_err(|error| self.error(Fault::Unreachable, &format!("{what}: {error}")))?;
        Ok(self.http.get_or_init(|| made))
    }

    pub(crate) async fn get_me(&self) -> Result<User, ApiError> {
        self.call("getMe", &json!({})).await
    }

    /// What happened since `offset`, at most `limit`; waits so long for something to happen.
    pub(crate) async fn get_updates(
        &self,
        offset: Option<i64>,
        limit: u32,
        wait: Duration,
    ) -> Result<Vec<Update>, ApiError> {
        let path = updates_path(offset, limit, wait);
        let request = self.request(Method::GET, &path);
        let request = request.body(Full::default());
        let patience = wait + PATIENCE;
        let found: Vec<Value> = self.ask("getUpdates", request, patience).await?;
        let numbered: Vec<Update> = found.iter().filter_map(Update::of).collect();
        if numbered.len() < found.len() {
            return Err(self.error(Fault::Garbled, "getUpdates: it sent updates without a number"));
        }
        Ok(numbered)
    }

    pub(crate) async fn call<T: DeserializeOwned>(&self, method: &str, arguments: &Value) -> Result<T, ApiError> {
        let request = self
            .request(Method::POST, method)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(arguments.to_string()));
        self.ask(method, request, PATIENCE).await
    }

    /// A call that brings a file.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        fields: &[(&str, String)],
        file: &Upload<'_>,
    ) -> Result<T, ApiError> {
        let (kind, body) = form::form(fields, file);
        let request = self
            .request(Method::POST, method)
            .header(header::CONTENT_TYPE, kind)
            .body(Full::from(body));
        self.ask(method, request, PATIENCE_WITH_FILES).await
    }

    /// The bytes of a file, of which there may be so many.
    pub(crate) async fn fetch(&self, path: &str, most: u64) -> Result<Bytes, ApiError> {
        let clean: Vec<String> = path
            .split('/')
            .map(|part| url::form_urlencoded::byte_serialize(part.as_bytes()).collect())
            .collect();
        let address = format!("{}/file/bot{}/{}", self.base, self.token.reveal(), clean.join("/"));
        let request = Request::get(address).body(Full::default());
        let fetched = async {
            let answer = self.answer("the file", request).await?;
            if answer.status() != StatusCode::OK {
                let status = answer.status();
                let fault = match status.as_u16() {
                    429 => Fault::Flood(FLOOD),
                    500..=599 => Fault::Server,
                    _ => Fault::Refused,
                };
                return Err(self.error(fault, &format!("the file: the server answered {status}")));
            }
            self.body("the file", answer, usize::try_from(most).unwrap_or(usize::MAX))
                .await
        };
        match tokio::time::timeout(PATIENCE_WITH_FILES, fetched).await {
            Ok(fetched) => fetched,
            Err(_elapsed) => Err(self.error(Fault::Cut, "the file: it did not come in time")),
        }
    }

    fn request(&self, method: Method, call: &str) -> ::http::request::Builder {
        let address = format!("{}/bot{}/{call}", self.base, self.token.reveal());
        Request::builder().method(method).uri(address)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        request: ::http::Result<Request<Full<Bytes>>>,
        patience: Duration,
    ) -> Result<T, ApiError> {
        let asked = async {
            let answer = self.answer(method, request).await?;
            let status = answer.status();
            let after = answer.headers().get(header::RETRY_AFTER);
            let after = after.and_then(|after| after.to_str().ok()?.trim().parse().ok());
            let body = self.body(method, answer, ANSWER_BYTES).await?;
            self.judge(method, status, after, &body)
        };
        match tokio::time::timeout(patience, asked).await {
            Ok(asked) => asked,
            Err(_elapsed) => Err(self.error(Fault::Cut, &format!("{method}: no answer within {patience:?}"))),
        }
    }

    async fn answer(
        &self,
        what: &str,
        request: ::http::Result<Request<Full<Bytes>>>,
    ) -> Result<Response<Incoming>, ApiError> {
        let request = request.map_err(|error| self.error(Fault::Refused, &format!("{what}: no request ({error})")))?;
        self.http(what)?.request(request).await.map_err(|error| {
            let fault = if error.is_connect() {
                Fault::Unreachable
            } else {
                Fault::Cut
            };
            let text = match fault {
                Fault::Unreachable => "the server cannot be reached",
                _ => "the connection broke",
            };
            self.error(fault, &format!("{what}: {text} ({})", innermost(&error)))
        })
    }

    async fn body(&self, what: &str, answer: Response<Incoming>, most: usize) -> Result<Bytes, ApiError> {
        let long = || self.error(Fault::TooLong, &format!("{what}: it is longer than {most} bytes"));
        if answer.body().size_hint().lower() > most as u64 {
            return Err(long());
        }
        match Limited::new(answer.into_body(), most).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(long()),
            Err(error) => {
                let text = format!("{what}: the connection broke in the middle of the answer ({error})");
                Err(self.error(Fault::Cut, &text))
            }
        }
    }

    fn judge<T: DeserializeOwned>(
        &self,
        method: &str,
        status: StatusCode,
        after: Option<u64>,
        body: &[u8],
    ) -> Result<T, ApiError> {
        let answer: Option<types::Answer> = serde_json::from_slice(body).ok(); // silent-ok: told below
        let code = answer
            .as_ref()
            .and_then(|answer| answer.error_code)
            .unwrap_or(status.as_u16());
        let said = match &answer {
            Some(answer) => answer.description.clone().unwrap_or_default(),
            None => String::from_utf8_lossy(&body[..body.len().min(4 * QUOTED)]).into_owned(),
        };
        let said: String = said
            .chars()
            .filter(|character| !character.is_control())
            .take(QUOTED)
            .collect();
        let parameters = answer.as_ref().and_then(|answer| answer.parameters.as_ref());
        let fault = match (code, &answer) {
            (200..=299, Some(answer)) if answer.ok => {
                return T::deserialize(&answer.result).map_err(|error| {
                    let text = format!("{method}: the answer has another shape than expected ({error})");
                    self.error(Fault::Garbled, &text)
                });
            }
            (429, _) => {
                let after = parameters.and_then(|parameters| parameters.retry_after).or(after);
                Fault::Flood(after.map_or(FLOOD, Duration::from_secs))
            }
            (500..=599, _) => Fault::Server,
            // A proxy that asks for a password, or a page of somebody else, says nothing about the token.
            (_, None) => Fault::Garbled,
            (401 | 404, _) => Fault::Token,
            (409, _) => Fault::Conflict,
            _ => match parameters.and_then(|parameters| parameters.migrate_to_chat_id) {
                Some(chat) => Fault::Moved(chat),
                None => Fault::Refused,
            },
        };
        Err(self.error(fault, &format!("{method}: the server answered {code}: {said}")))
    }

    /// The one place where errors are made, so that none holds the token.
    fn error(&self, fault: Fault, text: &str) -> ApiError {
        ApiError {
            fault,
            text: self.token.redact(text),
        }
    }
}

fn updates_path(offset: Option<i64>, limit: u32, wait: Duration) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("timeout", &wait.as_secs().to_string());
    query.append_pair("limit", &limit.to_string());
    query.append_pair("allowed_updates", ALLOWED);
    if let Some(offset) = offset {
        query.append_pair("offset", &offset.to_string());
    }
    format!("getUpdates?{}", query.finish())
}

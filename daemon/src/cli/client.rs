//! The daemon's HTTP interface from the command line.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::{CliError, output, pin};
use crate::state_dir::running_daemon;

/// Longest wait for an answer that is no stream.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of an upload that may take a second more.
const UPLOAD_BYTES: u64 = 64 * 1024;

/// A daemon, and the right to ask it.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
    /// Where it announced itself: after a restart it may serve at another address.
    announced: Option<PathBuf>,
    token: String,
}

/// One server-sent event.
#[derive(Debug)]
pub(crate) struct ServerEvent {
    /// Its `event:` line.
    pub(crate) name: String,
    /// Its `data:` line as JSON; null when it is none.
    pub(crate) data: Value,
}

/// A stream of server-sent events.
pub(crate) struct Events {
    response: Response,
    buffer: Vec<u8>,
}

impl Client {
    /// The daemon at `url`, `REVEILLE_URL`, or the one that announced itself in the state directory.
    pub(crate) fn find(url: Option<&str>, state_dir: &Path) -> Result<Self, CliError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let named = url.map(str::to_owned).or_else(|| variable("REVEILLE_URL"));
        let announced = named.is_none().then(|| state_dir.to_owned());
        let running = running_daemon(state_dir).map(|daemon| daemon.url);
        let own = named.is_none() || named == running;
        let base = named.or(running).ok_or_else(|| {
            CliError::Unreachable(format!(
                "no daemon runs for the state directory {}; start it with `reveille serve`",
                state_dir.display()
            ))
        })?;
        let token = match variable("REVEILLE_TOKEN") {
            Some(token) => token,
            None if own => own_token(state_dir)?,
            // The token of this directory is nobody else's business.
            None => {
                let dir = state_dir.display();
                let message = format!("{base} is not the daemon of {dir}; set REVEILLE_TOKEN to the token of that one");
                return Err(CliError::Usage(message));
            }
        };
        Ok(Self {
            announced,
            ..Self::new(&base, token.trim())?
        })
    }

    /// For a known daemon.
    pub(crate) fn new(base: &str, token: &str) -> Result<Self, CliError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(|error| CliError::Failed(format!("no HTTP client: {error}")))?;
        Ok(Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            announced: None,
            token: token.to_owned(),
        })
    }

    /// A request to where the daemon is now.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let now = self.announced.as_deref().and_then(running_daemon);
        let base = now.map_or_else(|| self.base.clone(), |daemon| daemon.url);
        self.http
            .request(method, format!("{base}{path}"))
            .bearer_auth(&self.token)
    }

    /// What a failed connection means.
    pub(crate) fn unreachable(&self, error: &reqwest::Error) -> CliError {
        let why = if error.is_timeout() {
            "it does not answer"
        } else {
            "nothing listens there"
        };
        CliError::Unreachable(format!(
            "the daemon at {} cannot be reached: {why}; start it with `reveille serve`",
            self.base
        ))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, CliError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        Self::accepted(response).await
    }

    /// `None`: there is no such thing.
    async fn found(&self, request: RequestBuilder) -> Result<Option<Response>, CliError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Self::accepted(response).await.map(Some)
    }

    async fn accepted(response: Response) -> Result<Response, CliError> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body: Value = response.json().await.unwrap_or(Value::Null); // silent-ok: the status alone is told then
        Err(Self::refusal(status, &body))
    }

    fn refusal(status: StatusCode, body: &Value) -> CliError {
        let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
        let message = match (text("message"), text("next_step")) {
            (message, _) if message.is_empty() => format!("the daemon answered {status} {}", text("error")),
            (message, next) if next.is_empty() => message,
            (message, next) => format!("{message} {next}"),
        };
        let message = output::safe(&message);
        let problems: Vec<String> = body["problems"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|problem| {
                format!(
                    "{}: {}",
                    output::text(&problem["key"]),
                    output::text(&problem["message"])
                )
            })
            .collect();
        match problems.is_empty() {
            true => CliError::Refused { message },
            false => CliError::Invalid { message, problems },
        }
    }

    async fn value(&self, request: RequestBuilder) -> Result<Value, CliError> {
        let request = request.timeout(PATIENCE);
        let again = request.try_clone();
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status() != StatusCode::FORBIDDEN {
            return self.answer(Self::accepted(response).await?).await;
        }
        let body: Value = response.json().await.unwrap_or(Value::Null); // silent-ok: the status alone is told then
        let wants_pin = body["error"] == "step_up_required" || body["error_type"] == "step_up_required";
        match again {
            Some(again) if wants_pin && body["reason"] == "token" && std::io::stdin().is_terminal() => {
                let again = again.header("x-step-up-token", self.step_up().await?);
                self.answer(self.send(again).await?).await
            }
            _ => Err(Self::refusal(StatusCode::FORBIDDEN, &body)),
        }
    }

    /// Asks the person for the PIN, and the daemon for the token that it is good for.
    async fn step_up(&self) -> Result<String, CliError> {
        let pin = pin::read("PIN: ")?;
        let request = self.request(Method::POST, "/api/step-up").json(&json!({ "pin": pin }));
        let given = self.answer(self.send(request.timeout(PATIENCE)).await?).await?;
        Ok(output::text(&given["stepUpToken"]))
    }

    async fn answer(&self, response: Response) -> Result<Value, CliError> {
        response
            .json()
            .await
            .map_err(|error| CliError::Failed(format!("the daemon's answer cannot be read: {error}")))
    }

    /// `GET` as JSON.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.value(self.request(Method::GET, path)).await
    }

    /// `GET` as JSON; `None` when there is no such thing.
    pub(crate) async fn find_one(&self, path: &str) -> Result<Option<Value>, CliError> {
        match self.found(self.request(Method::GET, path).timeout(PATIENCE)).await? {
            Some(response) => self.answer(response).await.map(Some),
            None => Ok(None),
        }
    }

    /// A page of a listing of notes, and the cursor of the next one.
    pub(crate) async fn page(&self, path: &str) -> Result<(Value, Option<String>), CliError> {
        let response = self.send(self.request(Method::GET, path).timeout(PATIENCE)).await?;
        let next = response.headers().get("x-next-cursor").map(|next| next.to_str());
        let next = next.transpose();
        let next = next.map_err(|error| CliError::Failed(format!("the daemon's cursor cannot be read: {error}")))?;
        let next = next.map(str::to_owned);
        Ok((self.answer(response).await?, next))
    }

    /// Gives the bytes of a stored file to `take`, piece by piece. `false`: there is no such file.
    pub(crate) async fn download(
        &self,
        vault: &str,
        file: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), CliError>,
    ) -> Result<bool, CliError> {
        let path = format!("/vault/{}/api/storage/{}", segment(vault), segment(file));
        let Some(mut response) = self.found(self.request(Method::GET, &path)).await? else {
            return Ok(false);
        };
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) => take(&bytes)?,
                Ok(None) => return Ok(true),
                Err(error) => {
                    return Err(CliError::Unreachable(format!("the file {file} broke off: {error}")));
                }
            }
        }
    }

    /// `POST` of JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.value(self.request(Method::POST, path).json(body)).await
    }

    /// Uploads a file of `size` bytes to a vault. It is read as it goes.
    pub(crate) async fn upload(&self, vault: &str, file: &Path, size: u64) -> Result<Value, CliError> {
        let part = Part::file(file).await;
        let part = part.map_err(|error| CliError::Usage(format!("{} cannot be read: {error}", file.display())))?;
        let path = format!("/vault/{}/api/storage/upload", segment(vault));
        let request = self
            .request(Method::POST, &path)
            .multipart(Form::new().part("file", part));
        let patience = PATIENCE + Duration::from_secs(size / UPLOAD_BYTES);
        self.answer(self.send(request.timeout(patience)).await?).await
    }

    /// `PATCH` of JSON.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.value(self.request(Method::PATCH, path).json(body)).await
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, CliError> {
        self.value(self.request(Method::DELETE, path)).await
    }

    /// `DELETE` that answers nothing.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), CliError> {
        let request = self.request(Method::DELETE, path).timeout(PATIENCE);
        self.send(request).await.map(drop)
    }

    /// Live events of a channel from now on.
    pub(crate) async fn events(&self, channel: &str) -> Result<Events, CliError> {
        self.stream(&format!("/api/channels/{}/turn-events", segment(channel)))
            .await
    }

    /// Live events of all channels from now on.
    pub(crate) async fn all_events(&self) -> Result<Events, CliError> {
        self.stream("/api/events").await
    }

    async fn stream(&self, path: &str) -> Result<Events, CliError> {
        let response = self.send(self.request(Method::GET, path)).await?;
        Ok(Events {
            response,
            buffer: Vec::new(),
        })
    }
}

fn own_token(state_dir: &Path) -> Result<String, CliError> {
    let file = state_dir.join("token");
    std::fs::read_to_string(&file).map_err(|error| {
        let file = file.display();
        CliError::Failed(format!(
            "the admin token {file} cannot be read: {error}; set REVEILLE_TOKEN"
        ))
    })
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl Events {
    /// The next event; `None` when the daemon ended the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<ServerEvent>, CliError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                    return Ok(Some(event));
                }
                continue;
            }
            match self.response.chunk().await {
                Ok(Some(bytes)) => self.buffer.extend_from_slice(&bytes),
                Ok(None) => return Ok(None),
                Err(error) => {
                    return Err(CliError::Unreachable(format!(
                        "the daemon's live events broke off: {error}"
                    )));
                }
            }
        }
    }
}

/// One block of lines; `None` for a comment.
fn parse(block: &str) -> Option<ServerEvent> {
    let field = |name: &str| {
        block
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let name = field("event")?.to_owned();
    let data = field("data")
        .and_then(|data| serde_json::from_str(data).ok())
        .unwrap_or(Value::Null);
    Some(ServerEvent { name, data })
}

//! Requests byte by byte, for what a well-behaved client does not send: other hosts, paths with dots, no token.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Daemon, LIMIT};

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Not decoded.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name, in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{} with {:?}", self.status, String::from_utf8_lossy(&self.body)))
    }

    /// The stable code of an error, beside the status.
    ///
    /// # Errors
    /// When the body is not `{"error": …, "message": …}`.
    pub fn refusal(&self) -> Result<(u16, String)> {
        let body = self.json()?;
        let (Some(code), Some(message)) = (body["error"].as_str(), body["message"].as_str()) else {
            bail!("{} is no error of the API: {body}", self.status);
        };
        anyhow::ensure!(!message.trim().is_empty(), "{code} has no message");
        Ok((self.status, code.to_owned()))
    }
}

impl Daemon {
    /// The header that lets a program in.
    #[must_use]
    pub fn bearer(&self) -> (&'static str, String) {
        ("authorization", format!("Bearer {}", self.token()))
    }

    /// Sends one request to a target that is taken as it is, with these headers and no token of its own, and reads the
    /// answer up to the end of the connection.
    ///
    /// # Errors
    /// When the daemon does not answer as HTTP says within [`LIMIT`].
    pub async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("host: {}\r\n", self.authority()?));
        }
        if !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let exchange = async {
            let mut stream = TcpStream::connect(self.authority()?).await?;
            stream.write_all(&[head.as_bytes(), body].concat()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            parse(&answer)
        };
        let Ok(answer) = tokio::time::timeout(LIMIT, exchange).await else {
            bail!("{method} {target}: no answer within {LIMIT:?}");
        };
        answer.with_context(|| format!("{method} {target}"))
    }

    /// The same with the admin token.
    ///
    /// # Errors
    /// As [`Daemon::ask`].
    pub async fn ask_in(&self, method: &str, target: &str, body: &[u8]) -> Result<Answer> {
        let (name, value) = self.bearer();
        self.ask(method, target, &[(name, &value)], body).await
    }

    /// Host and port, as a `Host` header has them.
    ///
    /// # Errors
    /// When the daemon has told no port.
    pub fn authority(&self) -> Result<String> {
        let host = self.url().host_str().context("a URL with a host")?;
        let port = self.url().port_or_known_default().context("a URL with a port")?;
        Ok(format!("{host}:{port}"))
    }
}

fn parse(answer: &[u8]) -> Result<Answer> {
    const GAP: &[u8] = b"\r\n\r\n";
    let end = answer.windows(GAP.len()).position(|window| window == GAP);
    let end = end.with_context(|| format!("no head in {:?}", String::from_utf8_lossy(answer)))?;
    let head = std::str::from_utf8(&answer[..end])?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    Ok(Answer {
        status: status.context("a status line")?.parse()?,
        headers: headers.collect(),
        body: answer[end + GAP.len()..].to_vec(),
    })
}

//! Who is let in, to what, and from where: tokens of the daemon, tickets, the PIN, other origins, and what every answer says.

mod audit;
mod origins;
mod pin;
mod secure;
mod sessions;
mod sweep;
mod tickets;
mod tokens;

use anyhow::{Context as _, Result, bail, ensure};
use reveille_tests::Daemon;
use reveille_tests::daemon::{Answer, LIMIT};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const TOKENS: &str = "/api/tokens";

async fn started() -> Result<Daemon> {
    Daemon::builder().stand_in().start().await
}

/// A token in somebody's hands.
struct Holder {
    id: String,
    bearer: String,
}

impl Holder {
    fn of(made: &Value) -> Result<Self> {
        let text = |key: &str| made[key].as_str().map(str::to_owned).context("a text");
        Ok(Self {
            id: text("id")?,
            bearer: format!("Bearer {}", text("token")?),
        })
    }

    /// Made by the operator.
    async fn new(daemon: &Daemon, asked: Value) -> Result<Self> {
        let made = daemon.ask_in("POST", TOKENS, asked.to_string().as_bytes()).await?;
        ensure!(made.status == 201, "{asked}: {} {}", made.status, made.json()?);
        Self::of(&made.json()?)
    }

    async fn with(daemon: &Daemon, scopes: &[&str]) -> Result<Self> {
        Self::new(daemon, json!({ "scopes": scopes })).await
    }

    /// With more headers and a body.
    async fn send(
        &self,
        daemon: &Daemon,
        (method, target): (&str, &str),
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Answer> {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let own = [("authorization", self.bearer.as_str())];
        daemon
            .ask(method, target, &[&own, headers].concat(), body.as_bytes())
            .await
    }

    async fn ask(&self, daemon: &Daemon, method: &str, target: &str, body: Value) -> Result<Answer> {
        self.send(daemon, (method, target), &[], &body).await
    }

    /// Status and code of a refusal.
    async fn refused(&self, daemon: &Daemon, method: &str, target: &str, body: Value) -> Result<(u16, String)> {
        self.ask(daemon, method, target, body).await?.refusal()
    }
}

/// The cookie of a browser that signed in.
async fn signed_in(daemon: &Daemon) -> Result<String> {
    let link = daemon.ask_in("POST", "/api/sign-in-links", b"{}").await?.json()?;
    let url = link["url"].as_str().context("a link")?;
    let (_, code) = url.split_once("#sign-in=").context("a code")?;
    let body = json!({ "code": code }).to_string();
    let answer = daemon.ask("POST", "/api/session", &[], body.as_bytes()).await?;
    let cookie = answer.header("set-cookie").context("a cookie")?;
    ensure!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

fn code(code: u16, word: &str) -> (u16, String) {
    (code, word.to_owned())
}

/// An answer that does not end by itself.
struct Stream {
    socket: TcpStream,
    read: Vec<u8>,
}

impl Stream {
    async fn open(daemon: &Daemon, target: &str, headers: &[(&str, &str)]) -> Result<Self> {
        let authority = daemon.authority()?;
        let mut socket = TcpStream::connect(&authority).await?;
        let mut head = format!("GET {target} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        socket.write_all(head.as_bytes()).await?;
        Ok(Self {
            socket,
            read: Vec::new(),
        })
    }

    /// Reads until a text has come.
    async fn until(&mut self, wanted: &str) -> Result<()> {
        let come = async {
            while !String::from_utf8_lossy(&self.read).contains(wanted) {
                let count = self.socket.read_buf(&mut self.read).await?;
                ensure!(count > 0, "it ended with {:?}", String::from_utf8_lossy(&self.read));
            }
            Ok(())
        };
        match tokio::time::timeout(LIMIT, come).await {
            Ok(come) => come,
            Err(_) => bail!(
                "{wanted:?} has not come, only {:?}",
                String::from_utf8_lossy(&self.read)
            ),
        }
    }

    /// Reads to the end of it.
    async fn end(mut self) -> Result<String> {
        let rest = tokio::time::timeout(LIMIT, self.socket.read_to_end(&mut self.read)).await;
        rest.context("it does not end")??;
        Ok(String::from_utf8_lossy(&self.read).into_owned())
    }
}

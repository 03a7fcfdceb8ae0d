//! The client that the authors of MCP wrote, in a process of its own.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use reveille_tests::Daemon;
use reveille_tests::daemon::{LIMIT, ToolAnswer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A running client.
pub(super) struct Official {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    next: u64,
    /// Answers that came while another was waited for.
    early: VecDeque<Value>,
    /// What the server said unasked.
    pub(super) heard: Vec<Value>,
    /// What it said of itself.
    pub(super) hello: Value,
}

/// Where `tests/run` installs the client.
fn home() -> Result<PathBuf> {
    let usual = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/mcp-client");
    let home = std::env::var_os("REVEILLE_TEST_MCP_CLIENT").map_or_else(usual, PathBuf::from);
    ensure!(
        home.join("node_modules/@modelcontextprotocol/sdk/package.json")
            .is_file(),
        "{} has no client: run tests/run once, it installs it",
        home.display()
    );
    Ok(home)
}

impl Official {
    /// Connected over HTTP.
    pub(super) async fn http(daemon: &Daemon, path: &str, token: &str) -> Result<Self> {
        let url = daemon.url().join(path)?;
        Self::connect(&json!({ "http": url.as_str(), "token": token })).await
    }

    /// Connected to a program over stdio, which has the environment that `command` gets.
    pub(super) async fn stdio(command: &Command) -> Result<Self> {
        Self::stdio_with(command, json!({})).await
    }

    /// The same, with what the client says that it can do.
    pub(super) async fn stdio_with(command: &Command, capabilities: Value) -> Result<Self> {
        let command = command.as_std();
        let text = |text: &std::ffi::OsStr| text.to_str().map(str::to_owned).context("a text");
        let args = command.get_args().map(text).collect::<Result<Vec<_>>>()?;
        let mut env = json!({});
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                env[text(name)?] = text(value)?.into();
            }
        }
        let program = text(command.get_program())?;
        Self::connect(&json!({ "stdio": program, "args": args, "env": env, "capabilities": capabilities })).await
    }

    async fn connect(how: &Value) -> Result<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/mcp-client/client.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .env("REVEILLE_TEST_MCP_CLIENT", home()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().context("stdin")?;
        let stdout = child.stdout.take().context("stdout")?;
        let mut client = Self {
            child,
            stdin,
            lines: BufReader::new(stdout).lines(),
            next: 0,
            early: VecDeque::new(),
            heard: Vec::new(),
            hello: Value::Null,
        };
        client.hello = client.ask("connect", how.clone()).await?;
        Ok(client)
    }

    /// Gives a command; its number.
    pub(super) async fn begin(&mut self, what: &str, mut command: Value) -> Result<u64> {
        self.next += 1;
        command["id"] = self.next.into();
        command["do"] = what.into();
        self.stdin.write_all(format!("{command}\n").as_bytes()).await?;
        Ok(self.next)
    }

    /// What a command told; an error with the words of the client when it failed.
    pub(super) async fn end(&mut self, id: u64) -> Result<Value> {
        let answer = match self.early.iter().position(|answer| answer["id"] == id) {
            Some(at) => self.early.remove(at).unwrap_or_default(),
            None => self.until(|line| line["id"] == id).await?,
        };
        match answer.get("failed") {
            Some(failed) => bail!("{failed}"),
            None => Ok(answer["told"].clone()),
        }
    }

    /// Reads up to a line that fits.
    async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        loop {
            let line = tokio::time::timeout(LIMIT, self.lines.next_line()).await;
            let line = line
                .context("the client says nothing")??
                .context("the client has ended")?;
            let line: Value = serde_json::from_str(&line)?;
            if let Some(heard) = line.get("heard") {
                self.heard.push(heard.clone());
            }
            if fits(&line) {
                return Ok(line);
            }
            if line.get("id").is_some() {
                self.early.push_back(line);
            }
        }
    }

    /// Waits for something that the server says unasked.
    pub(super) async fn hear(&mut self, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        if let Some(heard) = self.heard.iter().find(|heard| fits(heard)) {
            return Ok(heard.clone());
        }
        let line = self.until(|line| line.get("heard").is_some_and(&fits)).await?;
        Ok(line["heard"].clone())
    }

    pub(super) async fn ask(&mut self, what: &str, command: Value) -> Result<Value> {
        let id = self.begin(what, command).await?;
        self.end(id).await
    }

    /// Names of the tools that there are.
    pub(super) async fn tools(&mut self) -> Result<Vec<String>> {
        let tools = self.ask("tools", json!({})).await?;
        let names = tools.as_array().into_iter().flatten();
        Ok(names
            .filter_map(|tool| tool["name"].as_str().map(str::to_owned))
            .collect())
    }

    /// Calls a tool.
    pub(super) async fn call(&mut self, name: &str, arguments: Value) -> Result<ToolAnswer> {
        let told = self
            .ask("call", json!({ "name": name, "arguments": arguments }))
            .await?;
        ToolAnswer::of(&told).with_context(|| told.to_string())
    }

    /// What a tool tells that works.
    pub(super) async fn told(&mut self, name: &str, arguments: Value) -> Result<Value> {
        let answer = self.call(name, arguments).await?;
        ensure!(!answer.failed, "{name}: {}", answer.value);
        Ok(answer.value)
    }

    /// The code of a refusal, and its words.
    pub(super) async fn refused(&mut self, name: &str, arguments: Value) -> Result<(String, String)> {
        let answer = self.call(name, arguments).await?;
        ensure!(answer.failed, "{name}: {}", answer.value);
        let text = |key: &str| answer.value[key].as_str().unwrap_or_default().to_owned();
        let code = Some(text("error_type")).filter(|code| !code.is_empty());
        Ok((code.unwrap_or_else(|| text("error")), text("message")))
    }

    /// Ends it, and waits until it has ended.
    pub(super) async fn close(mut self) -> Result<()> {
        self.ask("close", json!({})).await?;
        drop(self.stdin);
        let ended = tokio::time::timeout(LIMIT, self.child.wait()).await;
        let status = ended.context("the client does not end")??;
        ensure!(status.success(), "{status}");
        Ok(())
    }
}

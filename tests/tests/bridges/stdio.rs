//! R-BR-1 to R-BR-5: `reveille bridge` between a client of MCP and a channel.

use std::process::Stdio;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::*;

/// A client of MCP that speaks lines of JSON.
struct Client {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    id: u64,
}

impl Client {
    async fn start(daemon: &Daemon, variables: &[(&str, &str)], args: &[&str]) -> Result<Self> {
        let mut command = daemon.cli(["bridge"].iter().chain(args)).await?;
        command.envs(variables.iter().copied());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let stdin = child.stdin.take().context("stdin")?;
        let lines = BufReader::new(child.stdout.take().context("stdout")?).lines();
        Ok(Self {
            child,
            stdin,
            lines,
            id: 0,
        })
    }

    async fn say(&mut self, message: &Value) -> Result<()> {
        Ok(self.stdin.write_all(format!("{message}\n").as_bytes()).await?)
    }

    async fn hear(&mut self) -> Result<Value> {
        let line = tokio::time::timeout(LIMIT, self.lines.next_line())
            .await
            .context("nothing comes")??;
        Ok(serde_json::from_str(&line.context("stdout has ended")?)?)
    }

    async fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.id += 1;
        let id = self.id;
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
            .await?;
        let answer = self.hear().await?;
        ensure!(answer["id"] == id, "{answer}");
        Ok(answer)
    }

    async fn tool(&mut self, name: &str, arguments: &Value) -> Result<(String, bool)> {
        let answer = self
            .ask("tools/call", &json!({ "name": name, "arguments": arguments }))
            .await?;
        let result = &answer["result"];
        let text = result["content"][0]["text"]
            .as_str()
            .with_context(|| answer.to_string())?;
        Ok((text.to_owned(), result["isError"] == true))
    }

    async fn greet(&mut self, capabilities: &Value) -> Result<Value> {
        let hello = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": capabilities,
            "clientInfo": { "name": "test", "version": "1" },
        });
        let answer = self.ask("initialize", &hello).await?;
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
            .await?;
        Ok(answer["result"].clone())
    }

    /// Waits until it says something on stderr; all up to it.
    async fn until_said(&mut self, word: &str) -> Result<String> {
        let stderr = self.child.stderr.as_mut().context("stderr")?;
        let (mut said, mut bytes) = (String::new(), [0; 1024]);
        while !said.contains(word) {
            let read = tokio::time::timeout(LIMIT, stderr.read(&mut bytes)).await;
            let read = read.with_context(|| format!("not {word:?}: {said}"))??;
            ensure!(read > 0, "it has ended: {said}");
            said.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        Ok(said)
    }

    /// Ends it; what it said on stderr.
    async fn end(self) -> Result<String> {
        let Self { mut child, stdin, .. } = self;
        drop(stdin);
        let mut said = String::new();
        child.stderr.take().context("stderr")?.read_to_string(&mut said).await?;
        ensure!(child.wait().await?.success(), "{said}");
        Ok(said)
    }
}

/// Waits until a session listens to a channel.
pub(super) async fn until_heard(daemon: &Daemon, channel: &str) -> Result<()> {
    reveille_tests::eventually("a session listens", LIMIT, async || {
        let listed: Value = daemon.request(Method::GET, &["api", "bridges"], None).await?.ok()?;
        let mut all = listed["bridges"].as_array().into_iter().flatten();
        let one = all.find(|one| one["name"] == channel);
        Ok(one.is_some_and(|one| one["sessions"] == 1).then_some(()))
    })
    .await
}

#[tokio::test]
async fn r_br_2_3_4_a_round_trip_from_the_page_to_the_session_and_back() -> Result<()> {
    let mut daemon = stand_in().start().await?;
    let mut client = Client::start(&daemon, &[("NODE_ENV", "test")], &["--channel", "ui1"]).await?;
    let hello = client.greet(&json!({ "experimental": { "claude/agent": {} } })).await?;
    assert_eq!(
        hello["serverInfo"],
        json!({ "name": "parachute-agent", "version": "0.1.0" })
    );
    assert_eq!(hello["protocolVersion"], "2025-06-18");
    let capabilities = json!({ "tools": {}, "experimental": { "claude/agent": {}, "claude/agent/permission": {} } });
    assert_eq!(hello["capabilities"], capabilities);
    assert!(
        hello["instructions"]
            .as_str()
            .is_some_and(|text| text.contains("reply"))
    );
    let tools = client.ask("tools/list", &json!({})).await?;
    let names: Vec<&str> = tools["result"]["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert_eq!(names, ["reply", "react", "edit_message", "download_attachment"]);
    let unknown = client.ask("resources/list", &json!({})).await?;
    assert_eq!(unknown["error"]["code"], -32601);

    until_heard(&daemon, "ui1").await?;
    post(
        &daemon,
        &["api", "channels", "ui1", "send"],
        &json!({ "text": "Are you\nthere?" }),
    )
    .await?
    .ok::<Value>()?;
    let told = client.hear().await?;
    assert_eq!(told["method"], "notifications/claude/agent");
    assert_eq!(told["params"]["content"], "Are you\nthere?");
    // What the message says of its source counts more than what the bridge is called.
    assert_eq!(told["params"]["meta"]["source"], "http-ui");

    until_up(&daemon, "ui1").await?;
    let mut page = page(&daemon, "ui1").await?;
    let (said, failed) = client.tool("reply", &json!({ "text": "I am." })).await?;
    let (event, data) = page.next().await?;
    assert_eq!((event.as_str(), &data["text"]), ("reply", &json!("I am.")));
    let id = data["id"].as_str().context("an id")?;
    assert_eq!((said, failed), (format!("sent 1 part(s) (id: {id})"), false));
    let edited = client
        .tool("edit_message", &json!({ "message_id": id, "text": "I was." }))
        .await?;
    assert_eq!(edited, ("edited".to_owned(), false));
    assert_eq!(page.next().await?.0, "edit");
    for (tool, arguments, begin) in [
        ("react", json!({ "message_id": id, "emoji": "x" }), "react failed: "),
        ("download_attachment", json!({ "file_id": "f" }), "download failed: "),
        ("fly", json!({}), "unknown tool"),
    ] {
        let (said, failed) = client.tool(tool, &arguments).await?;
        assert!(failed && said.starts_with(begin), "{said}");
    }
    let request = json!({ "request_id": "abcde", "tool_name": "Bash", "description": "d", "input_preview": "ls" });
    let asks =
        json!({ "jsonrpc": "2.0", "method": "notifications/claude/agent/permission_request", "params": request });
    client.say(&asks).await?;
    assert_eq!(page.next().await?, ("permission".into(), request));

    // It listens again when the daemon is back, at whatever address.
    daemon.restart().await?;
    until_heard(&daemon, "ui1").await?;
    post(
        &daemon,
        &["api", "channels", "ui1", "send"],
        &json!({ "text": "again" }),
    )
    .await?
    .ok::<Value>()?;
    assert_eq!(client.hear().await?["params"]["content"], "again");
    let said = client.end().await?;
    // Only that the daemon was away.
    assert!(!said.contains("claude/agent"), "{said}");
    Ok(())
}

#[tokio::test]
async fn r_br_1_5_the_variables_of_the_reference_system_are_read_and_hints_are_given() -> Result<()> {
    let daemon = stand_in().start().await?;
    let only_reads = token(&daemon, &["reveille:read"]).await?;
    let url = daemon.url().to_string();
    let variables = [
        ("PARACHUTE_AGENT_URL", url.trim_end_matches('/')),
        ("PARACHUTE_AGENT_TOKEN", only_reads.as_str()),
        ("PARACHUTE_CHANNEL_NAME", "ui1"),
    ];
    let mut client = Client::start(&daemon, &variables, &[]).await?;
    client.greet(&json!({})).await?;
    until_heard(&daemon, "ui1").await?;
    let (said, failed) = client.tool("reply", &json!({ "text": "x" })).await?;
    assert!(
        failed && said.starts_with("reply failed: ") && said.contains("insufficient_scope"),
        "{said}"
    );
    let hints = client.end().await?;
    assert!(hints.contains("claude/agent"), "{hints}");

    let variables = [variables[0], ("PARACHUTE_CHANNEL_TOKEN", "none"), variables[2]];
    let mut client = Client::start(&daemon, &variables, &[]).await?;
    client.greet(&json!({})).await?;
    let log = reveille_tests::eventually("it is refused", LIMIT, async || {
        let log = daemon.log()?;
        Ok(log.contains("wrong token").then_some(log))
    })
    .await?;
    assert!(!log.contains(&only_reads));
    client.until_said("does not know the token").await?;

    // A client without the capability is not warned where tests are run; and a token that may not read is told of.
    let only_sends = token(&daemon, &["reveille:send"]).await?;
    let variables = [
        variables[0],
        ("PARACHUTE_AGENT_TOKEN", only_sends.as_str()),
        variables[2],
        ("NODE_ENV", "test"),
    ];
    let mut client = Client::start(&daemon, &variables, &[]).await?;
    client.greet(&json!({})).await?;
    let said = client.until_said("may not read").await?;
    assert!(!said.contains("claude/agent"), "{said}");
    Ok(())
}

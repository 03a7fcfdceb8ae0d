//! The doors in the hands of the real CLI, set up as its user does it, with a double of the API.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::run;
use reveille_tests::messages_api::MessagesApi;
use reveille_tests::{Daemon, claude};
use serde_json::{Value, json};
use tokio::process::Command;

use super::attached::desk;

/// Somebody's own Claude Code, with settings and a directory of its own.
struct Person {
    home: PathBuf,
    api: String,
}

impl Person {
    fn new(daemon: &Daemon, api: &MessagesApi) -> Result<Self> {
        let home = daemon.scratch().join("person");
        std::fs::create_dir_all(home.join("work"))?;
        Ok(Self {
            home,
            api: api.url().to_owned(),
        })
    }

    async fn claude(&self, args: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(claude::program()?);
        command
            .args(args)
            .current_dir(self.home.join("work"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("CLAUDE_CONFIG_DIR", self.home.join("config"))
            .env("ANTHROPIC_BASE_URL", &self.api)
            .env("ANTHROPIC_API_KEY", "sk-test")
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .env("DISABLE_AUTOUPDATER", "1")
            // Otherwise it may begin before it knows the tools.
            .env("MCP_CONNECTION_NONBLOCKING", "0")
            .env("ENABLE_TOOL_SEARCH", "false");
        let ran = run(command, input).await?;
        ensure!(ran.code == 0, "{args:?}: {} {} {}", ran.code, ran.stdout, ran.stderr);
        Ok(ran.stdout)
    }

    /// As the documentation tells it.
    async fn add(&self, name: &str, daemon: &Daemon, path: &str) -> Result<()> {
        let url = daemon.url().join(path)?;
        let header = format!("Authorization: Bearer {}", daemon.token());
        let add = [
            "mcp",
            "add",
            "--scope",
            "user",
            "--transport",
            "http",
            name,
            url.as_str(),
            "--header",
            &header,
        ];
        self.claude(&add, "").await.map(drop)
    }

    /// What it answers to a prompt, with the results of the tools that it used, in their order.
    async fn prompt(&self, server: &str, prompt: &str) -> Result<(String, Vec<Value>)> {
        let allowed = format!("--allowedTools=mcp__{server}");
        let args = ["-p", "--output-format", "stream-json", "--verbose", &allowed];
        let stdout = self.claude(&args, prompt).await?;
        let mut results = Vec::new();
        let mut reply = None;
        for line in stdout.lines() {
            let line: Value = serde_json::from_str(line)?;
            let blocks = line["message"]["content"].as_array().into_iter().flatten();
            for block in blocks.filter(|block| block["type"] == "tool_result") {
                results.push(told(block).with_context(|| block.to_string())?);
            }
            if line["type"] == "result" {
                reply = line["result"].as_str().map(str::to_owned);
            }
        }
        Ok((reply.context("a reply")?, results))
    }
}

/// The JSON that a tool told.
fn told(block: &Value) -> Result<Value> {
    ensure!(block["is_error"] != true, "{block}");
    let text = match &block["content"] {
        Value::String(text) => text.as_str(),
        content => content[0]["text"].as_str().context("a text")?,
    };
    Ok(serde_json::from_str(text)?)
}

fn tool(server: &str, name: &str, input: &Value) -> String {
    format!("[[tool mcp__{server}__{name} {input}]]")
}

#[tokio::test]
async fn a_person_hands_work_to_an_agent_from_the_own_claude_code() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = desk().await?;
    let person = Person::new(&daemon, &api)?;
    person.add("reveille", &daemon, "/mcp").await?;
    let listed = person.claude(&["mcp", "list"], "").await?;
    assert!(listed.contains("reveille") && listed.contains("Connected"), "{listed}");
    let work = json!({ "agent": "eng", "text": "what is up?" });
    let note = json!({ "path": "Notes/from-claude", "content": "hi" });
    let prompt = tool("reveille", "list_agents", &json!({}))
        + &tool("reveille", "delegate", &work)
        + &tool("reveille", "create-note", &note);
    let (_, results) = person.prompt("reveille", &prompt).await?;
    let [agents, outcome, written] = &results[..] else {
        panic!("{results:?}")
    };
    let names: Vec<_> = agents
        .as_array()
        .into_iter()
        .flatten()
        .map(|agent| &agent["name"])
        .collect();
    assert_eq!(names, ["eng", "scribe"]);
    assert_eq!(outcome["state"], "ok", "{outcome}");
    assert!(
        outcome["reply"]
            .as_str()
            .is_some_and(|reply| reply.contains("what is up?")),
        "{outcome}"
    );
    assert_eq!(written["path"], "Notes/from-claude");
    assert!(daemon.note("Notes/from-claude").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_persons_claude_code_serves_an_attached_agent() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = desk().await?;
    let person = Person::new(&daemon, &api)?;
    person.add("scribe", &daemon, "/mcp/scribe").await?;
    let sent = daemon.send("scribe", "Write this down.").await?;
    let answer = json!({ "text": "It is written.", "inReplyTo": sent.id });
    let prompt = tool("scribe", "pending", &json!({}))
        + &tool("scribe", "next-message", &json!({}))
        + &tool("scribe", "reply", &answer);
    let (_, results) = person.prompt("scribe", &prompt).await?;
    let [pending, taken, replied] = &results[..] else {
        panic!("{results:?}")
    };
    assert_eq!((&pending["count"], &taken["id"]), (&json!(1), &json!(sent.id)));
    assert!(
        taken["systemPrompt"]
            .as_str()
            .is_some_and(|role| role.contains("You keep the minutes.")),
        "{taken}"
    );
    assert_eq!(replied["in_reply_to"], json!(sent.id));
    let turn = daemon.wait_turn("scribe", &sent).await?;
    assert_eq!(turn.reply.as_deref(), Some("It is written."));
    Ok(())
}

#[tokio::test]
async fn it_works_over_stdio_too() -> Result<()> {
    let api = MessagesApi::start().await?;
    let daemon = desk().await?;
    let person = Person::new(&daemon, &api)?;
    let command = daemon.cli(["mcp"]).await?;
    let program = command.as_std().get_program().to_str().context("a path")?;
    let state = daemon.state_dir();
    let add = [
        "mcp",
        "add",
        "--scope",
        "user",
        "reveille",
        "--",
        program,
        "--state-dir",
        state.to_str().context("a path")?,
        "mcp",
    ];
    person.claude(&add, "").await?;
    let (_, results) = person
        .prompt("reveille", &tool("reveille", "list_agents", &json!({})))
        .await?;
    let [agents] = &results[..] else { panic!("{results:?}") };
    assert_eq!(agents[0]["name"], "eng");
    Ok(())
}

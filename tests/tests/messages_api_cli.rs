//! The double of the Messages API as the real CLI sees it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use pretty_assertions::assert_eq;
use reveille_tests::daemon::end;
use reveille_tests::messages_api::{MessagesApi, overlaps};
use reveille_tests::{claude, eventually};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(60);
/// As much as the daemon gives the CLI, which loses what is still in a full pipe when it exits.
#[cfg(target_os = "linux")]
const PIPE_SIZE: usize = 1024 * 1024;

/// One conversation of the CLI with a double of its own.
struct Conversation {
    api: MessagesApi,
    home: TempDir,
    session: Uuid,
    begun: bool,
}

/// The end of a turn in the CLI's words.
#[derive(Debug, PartialEq)]
struct Turn {
    is_error: bool,
    text: String,
}

impl Conversation {
    async fn start() -> Result<Self> {
        Ok(Self {
            api: MessagesApi::start().await?,
            home: TempDir::new()?,
            session: Uuid::new_v4(),
            begun: false,
        })
    }

    fn spawn(&mut self, prompt: &str) -> Result<Child> {
        let session = if self.begun { "resume" } else { "session-id" };
        self.begun = true;
        let home: &Path = self.home.path();
        let mut command = Command::new(claude::program()?);
        command.args([
            "-p",
            "--output-format=stream-json",
            "--verbose",
            "--include-partial-messages",
        ]);
        command.args([
            "--setting-sources=user",
            "--strict-mcp-config",
            "--model=claude-sonnet-5",
        ]);
        command
            .arg("--dangerously-skip-permissions")
            .arg(format!("--{session}={}", self.session));
        command.args(["--", prompt]).current_dir(home).env_clear();
        command
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("TERM", "dumb");
        command
            .env("CLAUDE_CONFIG_DIR", home.join(".claude"))
            .env("CLAUDE_CODE_TMPDIR", home);
        command
            .env("ANTHROPIC_BASE_URL", self.api.url())
            .env("ANTHROPIC_API_KEY", "dummy")
            .env("IS_SANDBOX", "1");
        for disabled in [
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
            "DISABLE_AUTOUPDATER",
            "DISABLE_TELEMETRY",
            "DISABLE_ERROR_REPORTING",
        ] {
            command.env(disabled, "1");
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = command.spawn()?;
        #[cfg(target_os = "linux")]
        if let Some(stdout) = &child.stdout {
            rustix::pipe::fcntl_setpipe_size(stdout, PIPE_SIZE)?;
        }
        Ok(child)
    }

    fn config_dir(&self) -> String {
        self.home.path().join(".claude").display().to_string()
    }

    async fn turn(&mut self, prompt: &str) -> Result<Turn> {
        finish(self.spawn(prompt)?).await
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // The commands of a killed CLI live on.
        end("CLAUDE_CONFIG_DIR", &self.config_dir());
    }
}

async fn finish(child: Child) -> Result<Turn> {
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await??;
    let lines = String::from_utf8_lossy(&output.stdout);
    let result = lines.lines().rev().find_map(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        (event["type"] == "result").then_some(event)
    });
    let result = result.with_context(|| {
        let last = lines.lines().last().unwrap_or_default();
        format!(
            "no result, last line {last:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })?;
    Ok(Turn {
        is_error: result["is_error"].as_bool().unwrap_or_default(),
        text: result["result"].as_str().unwrap_or_default().to_owned(),
    })
}

fn ok(text: &str) -> Turn {
    Turn {
        is_error: false,
        text: text.to_owned(),
    }
}

#[tokio::test]
async fn a_conversation_grows_and_never_overlaps() -> Result<()> {
    let mut cli = Conversation::start().await?;
    assert_eq!(
        cli.turn("first").await?,
        ok("context: 1 user messages. You said: first")
    );
    let tool = r#"second [[tool Bash {"command":"echo $((6*7))"}]]"#;
    let quote = format!("The tool said: 42\ncontext: 2 user messages. You said: {tool}");
    assert_eq!(cli.turn(tool).await?, ok(&quote));
    assert_eq!(
        cli.turn("[[thinking deep]] third [[reply as told]]").await?,
        ok("as told")
    );

    let requests = cli.api.requests();
    let shapes: Vec<_> = requests
        .iter()
        .map(|request| (request.user_messages, request.tool_rounds))
        .collect();
    assert_eq!(shapes, [(1, 0), (2, 0), (2, 1), (3, 0)]);
    assert!(
        requests
            .iter()
            .all(|request| request.session == Some(cli.session.to_string()))
    );
    assert!(requests.is_sorted_by(|a, b| a.messages < b.messages && a.input_tokens < b.input_tokens));
    assert_eq!(overlaps(&requests), []);
    Ok(())
}

#[tokio::test]
async fn a_failed_turn_does_not_spoil_the_next() -> Result<()> {
    let mut cli = Conversation::start().await?;
    let refused = cli.turn("[[error 400]]").await?;
    assert_eq!(
        refused,
        Turn {
            is_error: true,
            text: "API Error: 400 The request is not valid.".to_owned()
        }
    );
    // The pinned CLI ends such a turn with an error, newer ones ask the model again.
    cli.turn("[[refusal]]").await?;
    let next = cli.turn("next").await?;
    assert!(
        !next.is_error && next.text.ends_with("user messages. You said: next"),
        "{next:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_cli_recovers_from_passing_faults() -> Result<()> {
    let mut cli = Conversation::start().await?;
    assert_eq!(cli.turn("[[error 529 x1]] [[reply up again]]").await?, ok("up again"));
    assert_eq!(cli.turn("[[cut]] [[reply whole again]]").await?, ok("whole again"));
    // Two each: the fault, and the CLI's own second attempt, with or without a stream.
    assert_eq!(cli.api.requests().len(), 4);
    Ok(())
}

#[tokio::test]
async fn an_interrupted_turn_does_not_spoil_the_next() -> Result<()> {
    let mut cli = Conversation::start().await?;
    for (index, prompt) in [
        "[[hang]]",
        r#"[[tool Bash {"command":"sleep 600"}]]"#,
        "[[slow 2x600s]]",
    ]
    .iter()
    .enumerate()
    {
        let child = cli.spawn(prompt)?;
        let pid = child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(rustix::process::Pid::from_raw);
        eventually("the request arrives", LIMIT, async || {
            Ok((cli.api.requests().len() == index + 1).then_some(()))
        })
        .await?;
        rustix::process::kill_process(pid.context("the CLI runs")?, rustix::process::Signal::INT)?;
        // Whether there is a result depends on the moment; only the end counts here.
        tokio::time::timeout(LIMIT, child.wait_with_output()).await??;
    }
    let next = cli.turn("next").await?;
    assert!(
        !next.is_error && next.text.ends_with("user messages. You said: next"),
        "{next:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_long_text_arrives_whole_and_slowly() -> Result<()> {
    let mut cli = Conversation::start().await?;
    let turn = cli.turn("[[big 200kb]] [[slow 20x10ms]]").await?;
    assert_eq!((turn.is_error, turn.text.len()), (false, 200 * 1024));
    Ok(())
}

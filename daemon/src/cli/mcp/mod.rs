//! `reveille mcp`: MCP over stdin and stdout, for clients that speak nothing else. Nothing but the protocol goes to stdout.
//!
//! Messages go both ways as they are. A session that the daemon has forgotten, as after a restart, is opened anew behind the
//! client's back; what cannot be answered is answered with what to do.

mod events;
mod link;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::task::JoinSet;

use self::link::Link;
use super::output::line;
use super::{CliError, Global};

/// After the end of stdin what was asked before is still answered, for so long.
const LINGER: Duration = Duration::from_secs(10);
/// Codes of JSON-RPC.
const PARSE_ERROR: i32 = -32700;
const FAILED: i32 = -32000;

/// Serve MCP over stdin and stdout.
#[derive(Debug, Args)]
pub(super) struct Mcp {
    /// Only this agent: the tools by which a session serves an attached one
    #[arg(long, value_name = "AGENT")]
    channel: Option<String>,
}

impl Mcp {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let path = match &self.channel {
            Some(channel) => format!("/mcp/{}", super::client::segment(channel)),
            None => "/mcp".to_owned(),
        };
        let link = Arc::new(Link::new(global.clone(), path));
        let mut running = JoinSet::new();
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        loop {
            let text = match lines.next_line().await {
                Ok(Some(text)) => text,
                Ok(None) => break,
                Err(error) => {
                    super::output::complain(&format!("stdin cannot be read: {error}"));
                    break;
                }
            };
            if text.trim().is_empty() {
                continue;
            }
            match serde_json::from_str(&text) {
                // Older revisions may send several at once; each is answered by itself.
                Ok(Value::Array(all)) => {
                    for message in all {
                        take(&link, message, &mut running).await;
                    }
                }
                Ok(message) => take(&link, message, &mut running).await,
                Err(error) => say(&failed(
                    &Value::Null,
                    PARSE_ERROR,
                    &format!("This line is no JSON: {error}"),
                )),
            }
            while running.try_join_next().is_some() {}
        }
        let rest = async { while running.join_next().await.is_some() {} };
        // silent-ok: who ends stdin and waits longer than this does not want to know.
        let _ = tokio::time::timeout(LINGER, rest).await;
        link.close().await;
        Ok(())
    }
}

/// Requests run beside each other; everything else keeps its order.
async fn take(link: &Arc<Link>, message: Value, running: &mut JoinSet<()>) {
    let answered = message["method"].is_string() && message.get("id").is_some();
    if message["method"] == "initialize" || !answered {
        link.carry(message).await;
        return;
    }
    let link = Arc::clone(link);
    running.spawn(async move { link.carry(message).await });
}

/// A message to the client.
fn say(message: &Value) {
    line(&message.to_string());
}

fn failed(id: &Value, code: i32, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

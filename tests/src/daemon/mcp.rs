//! The MCP door of a vault, message by message.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{Answer, Daemon};

/// Where the door of the vault is.
pub const MCP: &str = "/vault/default/mcp";
/// What clients of MCP accept.
pub const ACCEPT: (&str, &str) = ("accept", "application/json, text/event-stream");

/// What a tool told.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolAnswer {
    /// Whether it could not do what was asked.
    pub failed: bool,
    /// Its JSON.
    pub value: Value,
    /// The sentence behind it, about what is not there.
    pub more: Option<String>,
}

impl ToolAnswer {
    /// The result of a call.
    ///
    /// # Errors
    /// When it is not as the contract has it.
    pub fn of(result: &Value) -> Result<Self> {
        let blocks = result["content"].as_array().context("content")?;
        let mut texts = Vec::new();
        for block in blocks {
            ensure!(block["type"] == "text", "{block}");
            texts.push(block["text"].as_str().context("a text")?);
        }
        let (first, rest) = texts.split_first().context("a block")?;
        ensure!(rest.len() <= 1, "{result}");
        Ok(Self {
            failed: result["isError"] == true,
            value: serde_json::from_str(first).with_context(|| (*first).to_owned())?,
            more: rest.first().map(|text| (*text).to_owned()),
        })
    }
}

impl Daemon {
    /// Sends one JSON-RPC message with a token.
    ///
    /// # Errors
    /// As [`Daemon::ask`].
    pub async fn mcp(&self, token: &str, message: &Value) -> Result<Answer> {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("authorization", bearer.as_str()),
            ACCEPT,
            ("content-type", "application/json"),
        ];
        self.ask("POST", MCP, &headers, message.to_string().as_bytes()).await
    }

    /// Calls a method; the whole JSON-RPC answer.
    ///
    /// # Errors
    /// When there is none with status 200.
    pub async fn mcp_call(&self, token: &str, method: &str, params: &Value) -> Result<Value> {
        let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let answer = self.mcp(token, &message).await?;
        let told = answer.json()?;
        ensure!(answer.status == 200, "{}: {told}", answer.status);
        ensure!(told["id"] == 7 && told["jsonrpc"] == "2.0", "{told}");
        Ok(told)
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// When the answer is an error of the protocol.
    pub async fn tool(&self, token: &str, name: &str, arguments: &Value) -> Result<ToolAnswer> {
        let params = json!({ "name": name, "arguments": arguments });
        let told = self.mcp_call(token, "tools/call", &params).await?;
        ToolAnswer::of(&told["result"]).with_context(|| told.to_string())
    }
}

//! What the library asks of a server.

use std::sync::Arc;

use http::request::Parts;
use reveille_vault::agent::without_middle;
use reveille_vault::{Vault, VaultError};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomRequest, CustomResult, ErrorCode,
    ErrorData, Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Map, Value, json};

use super::super::answer::Failure;
use super::arguments::Arguments;
use super::catalog::{Entry, Name, TOOLS};
use super::{agents, info, links, notes, tags};
use crate::delegation::HOW_TO_DEFINE;
use crate::http::error::ApiError;
use crate::http::{Api, Caller, audit};
use crate::inbox::shown;

/// What `initialize` says of the notes.
const NOTES: &str = "A note has an id, perhaps a path, a body in Markdown, tags and metadata. Tags are written bare, such as \
                     project/idea. Read before you change: send the note's updatedAt as if_updated_at.";
/// Of the agents.
const AGENTS: &str = "Agents live here: each is a note tagged agent/definition, whose body is its role and whose metadata \
                      has its name and settings. A message tagged agent/message and agent/message/inbound with metadata \
                      {\"agent\": NAME} wakes that agent; send-message writes one, list-agents names them. To hand work on, \
                      send it with all that the other one needs and reply: true, and end your turn: the outcome wakes you \
                      with a message of its own.";
/// Characters of a vault's description that it says.
const DESCRIPTION_CHARS: usize = 2000;
const ONLY_THE_OPERATOR: &str = "Definitions are the operator's to write.";

/// The answers to one request.
#[derive(Clone)]
pub(super) struct Server {
    api: Api,
    /// As the caller has it.
    vault: Arc<dyn Vault>,
    caller: Caller,
    /// What the vault is for.
    description: Option<String>,
}

/// What a tool tells.
pub(in crate::http) struct Told {
    /// Given as JSON.
    pub(in crate::http) value: Value,
    /// What is not there, and how to get it.
    pub(in crate::http) more: Option<String>,
}

impl Told {
    /// All of it.
    pub(in crate::http) fn of(value: Value) -> Self {
        Self { value, more: None }
    }
}

/// Why a call was not done.
#[derive(Debug)]
pub(in crate::http) enum Refusal {
    /// For the model to read.
    Tool(Value),
    /// As the contract of this API has it.
    Protocol(ErrorData),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let code = match &failure {
            Failure::Vault(VaultError::Conflict { .. }) => Some(ErrorCode::INVALID_REQUEST),
            Failure::PreconditionRequired { .. } => Some(ErrorCode::INVALID_PARAMS),
            _ => None,
        };
        let (_, body) = failure.parts();
        match code {
            Some(code) => {
                let message = body["message"].as_str().unwrap_or_default().to_owned();
                Self::Protocol(ErrorData::new(code, message, Some(body)))
            }
            None => Self::Tool(body),
        }
    }
}

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        Failure::from(error).into()
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let mut body = json!({ "error": error.code, "message": error.message });
        if let Some(next_step) = error.next_step {
            body["next_step"] = next_step.into();
        }
        Self::Tool(body)
    }
}

impl Refusal {
    /// For want of a right. `what`: a sentence without its end.
    pub(in crate::http) fn forbidden(what: &str) -> Self {
        let message = format!("{what}; nothing was done. Ask the operator to do it.");
        Self::Tool(json!({ "error": "forbidden", "error_type": "forbidden", "message": message }))
    }

    /// The same for one of several notes, those before which were written.
    pub(super) fn of_item(self, index: usize) -> Self {
        let told = |body: &mut Value| {
            let message = body["message"].as_str().unwrap_or_default();
            let message = match index {
                0 => format!("notes[0]: {message}. Nothing was written"),
                _ => format!(
                    "notes[{index}]: {message}. The {index} before it were written; it and those behind it were not"
                ),
            };
            body["message"] = message.clone().into();
            body["item_index"] = index.into();
            message
        };
        match self {
            Self::Tool(mut body) => {
                told(&mut body);
                Self::Tool(body)
            }
            Self::Protocol(mut error) => {
                let mut body = error.data.take().unwrap_or_default();
                error.message = told(&mut body).into();
                error.data = Some(body);
                Self::Protocol(error)
            }
        }
    }
}

impl Server {
    /// The same for another door, which says itself what there is.
    pub(super) fn bare(api: Api, vault: Arc<dyn Vault>, caller: Caller) -> Self {
        Self {
            api,
            vault,
            caller,
            description: None,
        }
    }

    /// For one caller. `vault`: as that caller has it. A vault that cannot say now what it is for is not described.
    pub(super) async fn new(api: Api, vault: Arc<dyn Vault>, caller: Caller) -> Self {
        let description = match vault.profile().description().await {
            Ok(description) => description,
            Err(error) => {
                tracing::warn!(%error, "a vault is offered without its description");
                None
            }
        };
        Self {
            description,
            ..Self::bare(api, vault, caller)
        }
    }

    pub(super) fn tools(&self) -> impl Iterator<Item = &'static Entry> {
        TOOLS
            .iter()
            .filter(|entry| entry.is_of(self.vault.capabilities()))
            .filter(|entry| entry.is_for(&self.caller, self.vault.name()))
    }

    async fn call(&self, entry: &Entry, arguments: Arguments) -> Result<Told, Refusal> {
        let vault = &*self.vault;
        match entry.id {
            Name::QueryNotes => notes::query(vault, arguments).await,
            Name::CreateNote => notes::create(vault, arguments).await,
            Name::UpdateNote => notes::update(vault, arguments).await,
            Name::DeleteNote => notes::delete(vault, arguments).await,
            Name::ListTags => tags::list(&self.vault, arguments).await,
            Name::UpdateTag => tags::update(&self.vault, arguments).await,
            Name::DeleteTag => tags::delete(&self.vault, &self.api.tokens, arguments).await,
            Name::FindPath => links::find_path(&self.vault, arguments).await,
            Name::SynthesizeNotes => links::synthesize(vault, arguments).await,
            Name::VaultInfo => {
                let max_file = self.api.file_limits.of(vault.name());
                info::info(&self.vault, &self.caller, max_file, arguments).await
            }
            Name::SendMessage => agents::send(&self.api, &self.caller, arguments).await,
            Name::ListAgents => agents::list(&self.api, &self.caller, arguments).await,
        }
    }

    /// Runs a tool.
    pub(super) async fn run(&self, tool: &str, arguments: Map<String, Value>) -> Result<CallToolResult, ErrorData> {
        let of_vault = |entry: &&Entry| entry.is_of(self.vault.capabilities());
        let Some(entry) = TOOLS.iter().filter(of_vault).find(|entry| entry.name == tool) else {
            let names: Vec<&str> = self.tools().map(|entry| entry.name).collect();
            let message = format!("There is no tool {:?}; there are: {}.", tool, names.join(", "));
            return Err(ErrorData::new(ErrorCode::INVALID_PARAMS, without_middle(message), None));
        };
        let may = entry.is_for(&self.caller, self.vault.name());
        let outcome = match Arguments::of(entry, arguments) {
            _ if !may => Err(Refusal::forbidden(&format!("You may not use {}", entry.name))),
            Ok(arguments) => self.call(entry, arguments).await,
            Err(failure) => Err(failure.into()),
        };
        result(outcome)
    }

    fn instructions(&self) -> String {
        let name = self.vault.name();
        let about = self.description.as_deref().unwrap_or_default();
        let mut text = format!("The notes vault {name:?}. {NOTES}\n\n{AGENTS}");
        if !about.trim().is_empty() {
            text = format!("{}\n\n{text}", shown(about, DESCRIPTION_CHARS));
        }
        if let Caller::Turn(origin) = &self.caller {
            text.push(' ');
            text.push_str(match origin.defines_agents {
                true => HOW_TO_DEFINE,
                false => ONLY_THE_OPERATOR,
            });
        }
        text
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let name = format!("reveille-vault/{}", self.vault.name());
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(name, env!("CARGO_PKG_VERSION")))
            .with_instructions(self.instructions())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools().map(Entry::tool).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let mut all = TOOLS.iter();
        let called = all.find(|entry| entry.name == request.name);
        let route = called.and_then(|entry| entry.changes(&arguments));
        let told = self.run(&request.name, arguments).await;
        if let (Some(route), Some(parts)) = (route, context.extensions.get::<Parts>()) {
            audit::tool_called(parts, &request.name, route, is_done(&told));
        }
        told.map(Into::into)
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(not_known(&request))
    }
}

/// That the library could not hand a request to a handler. What it knows but cannot read is among them.
pub(in crate::http) fn not_known(request: &CustomRequest) -> ErrorData {
    let (code, message) = match request.method.as_str() {
        "initialize" | "tools/call" | "tools/list" => (
            ErrorCode::INVALID_PARAMS,
            format!("The parameters of {} cannot be read.", request.method),
        ),
        method => (
            ErrorCode::METHOD_NOT_FOUND,
            format!("There is no method {method:?}; this server has tools/list and tools/call."),
        ),
    };
    ErrorData::new(code, without_middle(message), None)
}

/// What a tool told, or why it did not do it, as the protocol has it.
pub(in crate::http) fn result(outcome: Result<Told, Refusal>) -> Result<CallToolResult, ErrorData> {
    match outcome {
        Ok(told) => {
            let texts = [Some(pretty(&told.value)), told.more].into_iter().flatten();
            Ok(CallToolResult::success(texts.map(ContentBlock::text).collect()))
        }
        Err(Refusal::Tool(body)) => Ok(failed(&body)),
        Err(Refusal::Protocol(error)) => Err(error),
    }
}

/// Whether a tool did what it was called for.
pub(in crate::http) fn is_done(told: &Result<CallToolResult, ErrorData>) -> bool {
    told.as_ref().is_ok_and(|told| told.is_error != Some(true))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

fn failed(body: &Value) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(pretty(body))])
}

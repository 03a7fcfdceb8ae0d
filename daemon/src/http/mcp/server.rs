//! What the library asks of a server, at both doors.

use std::borrow::Cow;

use http::request::Parts;
use reveille_vault::agent::without_middle;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CustomNotification, CustomRequest, CustomResult,
    ErrorCode, ErrorData, Implementation, ListToolsResult, PaginatedRequestParams, ProtocolVersion, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Map, Value, json};

use super::catalog::{self, Entry, Name, Surface};
use super::{Door, delegate, pull, push};
use crate::http::vault_api::mcp::arguments::Arguments;
use crate::http::vault_api::mcp::server::{Refusal, Told, is_done, not_known, result};
use crate::http::vault_api::mcp::{agents, elsewhere};
use crate::http::{Api, Caller, audit};
use crate::tokens::{Scope, Verb};

/// The revisions of the protocol that have sessions, newest first.
pub(super) const VERSIONS: [&str; 5] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "2024-10-07"];

/// What `initialize` says at the door of the whole daemon.
const WHOLE: &str = "Reveille: agents that wake for a message, do the work with Claude Code, and answer with a note. list_agents \
                     names them. delegate hands work to one of them and waits for the outcome for a while; turn_status tells \
                     how it stands later, stop ends it. send only leaves a message. An agent knows nothing of your \
                     conversation: write everything it needs into the text. The other tools read and write the notes of a \
                     vault; the argument vault names another one than usual.";
/// In the hands of a turn.
const TURN: &str = " You are an agent in its turn: what you delegate is answered to you as a message of its own, in a later \
                    turn. Do not wait for it; end your turn.";
/// At the door of an agent that a session like this one serves.
const PULL: &str = "You serve this agent of Reveille. Its messages wait in a queue until you take them. In a loop: call pending \
                    to see whether there are any; call next-message to take the oldest; take its systemPrompt as your role for \
                    this message and do what its text asks; then call reply with your answer and its id as inReplyTo, which \
                    ends the message. The sender sees only what reply sends. A message is yours until ends_at: call renew when \
                    the work takes longer. If you cannot do it, call release, and somebody else can take it. When nothing is \
                    pending, wait or stop.";
/// At the door of an agent that the daemon runs itself.
const PUSH: &str = "A channel of Reveille, whose agent the daemon itself wakes for each message; its messages are not sent here. \
                    People on the channel see only what the tool reply writes; what you say otherwise reaches nobody. A \
                    message from a channel would come as a channel tag whose attributes name it: give chat_id back as chat_id, \
                    and message_id as reply_to when you answer that one. An image_path can be read as a file, and an \
                    attachment_file_id fetched with download_attachment, where the channel has such things; this one has not. \
                    Editing a message tells nobody, so write a new one when somebody should notice.";
/// At the door of a channel without an agent: its messages are for sessions like this one.
const CHANNEL: &str = "A channel of Reveille without an agent: its messages are sent to you while your stream is open. People on the \
                       channel see only what the tool reply writes; what you say otherwise reaches nobody. Each message comes as a \
                       channel tag whose attributes name it: give chat_id back as chat_id, and message_id as reply_to only when you \
                       answer an earlier message than the last. Read the file that image_path names; fetch the one that \
                       attachment_file_id names with download_attachment. Editing a message tells nobody, so write a new one when \
                       somebody should notice.";
/// By it a session asks the people of its channel whether it may use a tool.
const PERMISSION_REQUEST: &str = "notifications/claude/agent/permission_request";

/// The answers of one session.
#[derive(Clone)]
pub(super) struct Server {
    api: Api,
    door: Door,
}

impl Server {
    pub(super) fn new(api: Api, door: Door) -> Self {
        Self { api, door }
    }

    /// What is offered now: an agent may be defined otherwise while a session lasts.
    fn surface(&self) -> Surface {
        let Door::Channel(channel) = &self.door else {
            return Surface::Whole;
        };
        match self.api.attached.is_attached(channel) {
            true => Surface::Pull,
            false => Surface::Push,
        }
    }

    async fn call(
        &self,
        tool: &str,
        given: Map<String, Value>,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let caller = caller(context)?;
        let surface = self.surface();
        if surface == Surface::Whole && elsewhere::is_one(tool) {
            return elsewhere::call(&self.api, caller, tool, given).await;
        }
        let Some(entry) = catalog::find(surface, tool) else {
            return result(Err(self.no_such_tool(tool, surface, caller)));
        };
        if !entry.is_for(caller) {
            return result(Err(entry.refused(caller)));
        }
        let arguments = match self.read(entry, surface, given) {
            Ok(arguments) => arguments,
            Err(refusal) => return result(Err(refusal)),
        };
        result(self.run(entry, arguments, caller, context).await)
    }

    /// At the door of the whole daemon what is not known is refused, lest the model believe that it counted. Clients of
    /// channels send more than is there, and it does not count.
    fn read(&self, entry: &Entry, surface: Surface, mut given: Map<String, Value>) -> Result<Arguments, Refusal> {
        let known = entry.arguments();
        if surface != Surface::Whole {
            given.retain(|name, _| known.contains(name));
        }
        Ok(Arguments::known(entry.name, &known, &[], given)?)
    }

    async fn run(
        &self,
        entry: &Entry,
        arguments: Arguments,
        caller: &Caller,
        context: &RequestContext<RoleServer>,
    ) -> Result<Told, Refusal> {
        let api = &self.api;
        let channel = match &self.door {
            Door::Daemon => "",
            Door::Channel(channel) => channel,
        };
        match entry.id {
            Name::ListAgents => agents::list(api, caller, arguments).await,
            Name::Send => delegate::send(api, caller, arguments).await,
            Name::Delegate => delegate::delegate(api, caller, arguments, context).await,
            Name::TurnStatus => delegate::status(api, caller, arguments, context).await,
            Name::Stop => delegate::stop(api, caller, arguments).await,
            Name::Pending => pull::pending(api, channel).await,
            Name::Next => pull::next(api, channel, caller, context).await,
            Name::PullReply => pull::reply(api, channel, caller, arguments).await,
            Name::Release => pull::release(api, channel, caller, arguments).await,
            Name::Renew => pull::renew(api, channel, caller, arguments).await,
            Name::PushReply => push::reply(api, channel, caller, arguments).await,
            Name::React | Name::EditMessage | Name::DownloadAttachment => {
                push::operate(api, channel, entry.name, arguments).await
            }
        }
    }

    fn no_such_tool(&self, tool: &str, surface: Surface, caller: &Caller) -> Refusal {
        let tools = self.tools(surface, caller);
        let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
        // The tools of the other surface: the agent was perhaps defined otherwise meanwhile.
        let why = match surface {
            Surface::Push if catalog::find(Surface::Pull, tool).is_some() => {
                "This channel has no attached agent now, so nothing can be taken from it. "
            }
            Surface::Pull if catalog::find(Surface::Push, tool).is_some() => {
                "This channel has an attached agent now, and nothing is pushed. "
            }
            _ => "",
        };
        let message = format!("{why}There is no tool {tool:?} here; there are: {}.", names.join(", "));
        Refusal::Tool(json!({ "error": "unknown_tool", "message": without_middle(message) }))
    }

    fn tools(&self, surface: Surface, caller: &Caller) -> Vec<rmcp::model::Tool> {
        let own = catalog::of(surface).filter(|entry| entry.is_for(caller));
        let mut tools: Vec<_> = own.map(|entry| entry.tool(caller)).collect();
        if surface == Surface::Whole {
            tools.extend(elsewhere::tools(&self.api, caller));
        }
        tools
    }

    fn config(&self, caller: Option<&Caller>) -> ServerConfig {
        let (name, words) = match (&self.door, self.surface()) {
            (Door::Daemon, _) => ("reveille".to_owned(), WHOLE),
            (Door::Channel(channel), Surface::Pull) => (format!("agent-{channel}"), PULL),
            (Door::Channel(channel), _) => {
                let words = match self.api.registry.get(channel) {
                    Some(_) => PUSH,
                    None => CHANNEL,
                };
                (format!("agent-{channel}"), words)
            }
        };
        let mut capabilities = ServerCapabilities::builder().enable_tools().build();
        if self.door != Door::Daemon {
            // As clients of channels look for it.
            let none = Map::new();
            let both = ["claude/agent", "claude/agent/permission"].map(|name| (name.to_owned(), none.clone()));
            capabilities.experimental = Some(both.into_iter().collect());
        }
        let mut words = words.to_owned();
        if let (Door::Daemon, Some(Caller::Turn(_))) = (&self.door, caller) {
            words.push_str(TURN);
        }
        let mut newest = ServerConfig::new(capabilities)
            .with_server_info(Implementation::new(name, env!("CARGO_PKG_VERSION")))
            .with_instructions(words);
        newest.protocol_version = ProtocolVersion::V_2025_11_25;
        newest
    }
}

/// Who sent this request, which may be another than who opened the session: the same subject with another token.
fn caller(context: &RequestContext<RoleServer>) -> Result<&Caller, ErrorData> {
    let parts = context.extensions.get::<Parts>();
    let caller = parts.and_then(|parts| parts.extensions.get::<Caller>());
    caller.ok_or_else(|| ErrorData::new(ErrorCode::INTERNAL_ERROR, "It is not known who asks.", None))
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        self.config(None)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        // silent-ok: each of them is text, and any text is read as one.
        let all = VERSIONS
            .iter()
            .filter_map(|version| serde_json::from_value(json!(version)).ok());
        Cow::Owned(all.collect())
    }

    async fn initialize(
        &self,
        request: rmcp::model::InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ServerConfig, ErrorData> {
        if context.peer.peer_info().is_none() {
            context.peer.set_peer_info(request);
        }
        Ok(self.config(Some(caller(&context)?)))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(
            self.tools(self.surface(), caller(&context)?),
        ))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let given = request.arguments.unwrap_or_default();
        let route = match (catalog::find(self.surface(), &request.name), &self.door) {
            (Some(entry), _) => entry.changes(),
            (None, Door::Daemon) => elsewhere::changes(&request.name, &given),
            (None, Door::Channel(_)) => None,
        };
        let told = self.call(&request.name, given, &context).await;
        if let (Some(route), Some(parts)) = (route, context.extensions.get::<Parts>()) {
            audit::tool_called(parts, &request.name, route, is_done(&told));
        }
        told.map(Into::into)
    }

    async fn on_custom_notification(&self, notification: CustomNotification, context: NotificationContext<RoleServer>) {
        let Door::Channel(channel) = &self.door else { return };
        if notification.method != PERMISSION_REQUEST {
            return;
        }
        let caller = context.extensions.get::<Parts>();
        let caller = caller.and_then(|parts| parts.extensions.get::<Caller>());
        // As the call `POST /api/permission` has it; a notification has no answer.
        let writes = caller.is_some_and(|caller| match caller {
            Caller::Operator => true,
            Caller::Token(grant) => grant.covers(&Scope::daemon(Verb::Write)),
            Caller::Turn(_) => false,
        });
        let asked = match writes {
            true => push::ask(&self.api, channel, &notification.params.unwrap_or_default()).await,
            false => Err("its token may not write".into()),
        };
        if let Err(error) = asked {
            tracing::warn!(channel, error, "nobody was asked for what a session wants to do");
        }
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(not_known(&request))
    }
}

//! Conversations: of one agent, of all; what people call them, and what was said in them.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use futures_util::future::join_all;
use http::StatusCode;
use jiff::Timestamp;
use reveille_queue::{Listed, Listing, Standing, Turn};
use reveille_vault::agent::Inbound;
use reveille_vault::{Key, Kind, NoteId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::Api;
use super::channels::channel_name;
use super::error::{ApiError, Body, Segment};
use super::found_words::Found;
use super::thread_search::{Search, Unsearched, search};
use super::turns::{invalid_cursor, usd};
use super::wire::Thread;
use crate::ending::thread_path;
use crate::inbox::shown;
use crate::record::TurnRecord;

/// Conversations of a page unless asked otherwise, and at most.
const THREADS: u32 = 50;
const THREADS_MAX: u32 = 1000;
/// Characters of a preview, and of a title at most.
const PREVIEW_CHARS: usize = 160;
const TITLE_MAX: usize = 200;
/// Looks into the queue for one page.
const LOOKS: usize = 10;
/// Notes that are asked for at one time.
const AT_ONCE: usize = 16;

/// How a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ThreadState)]
pub(super) enum Stands {
    /// Nothing is to be done.
    Idle,
    /// A turn runs.
    Working,
    /// A message waits.
    Queued,
    /// Its newest turn ended without an answer.
    Error,
}

impl From<Standing> for Stands {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Idle => Self::Idle,
            Standing::Working => Self::Working,
            Standing::Queued => Self::Queued,
            Standing::Error => Self::Error,
        }
    }
}

impl From<Stands> for Standing {
    fn from(stands: Stands) -> Self {
        match stands {
            Stands::Idle => Self::Idle,
            Stands::Working => Self::Working,
            Stands::Queued => Self::Queued,
            Stands::Error => Self::Error,
        }
    }
}

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Conversation {
    thread: Uuid,
    /// Its agent.
    channel: String,
    /// Where its notes are.
    vault: String,
    key: Thread,
    /// The name that a person has given it.
    #[schema(required)]
    title: Option<String>,
    /// A person has put it away.
    archived: bool,
    state: Stands,
    /// When something happened in it last: a message was accepted, a turn began or ended.
    last_at: Timestamp,
    /// The first words of its last message.
    #[schema(required)]
    preview: Option<String>,
    /// The note of the conversation; null while there is none.
    #[schema(required)]
    note_id: Option<String>,
    /// Settled turns.
    turns: u64,
    /// The session that its next turn goes on with.
    #[schema(required)]
    session: Option<Uuid>,
    /// When its first turn began.
    #[schema(required)]
    started_at: Option<Timestamp>,
    cost_usd: f64,
}

fn preview_of(turn: &Turn) -> Option<String> {
    let record = turn.record.clone().map(serde_json::from_value::<TurnRecord>);
    // silent-ok: what cannot be read has no words; the turn itself says so
    let reply = record.and_then(Result::ok).and_then(|record| record.reply);
    let reply = reply.filter(|reply| !reply.trim().is_empty());
    let message = || serde_json::from_value::<Inbound>(turn.message.body.clone()).ok(); // silent-ok: the same
    let text = reply.or_else(|| message().map(|message| message.text))?;
    // Not more than can be shown is put on one line.
    let beginning: String = text.chars().take(4 * PREVIEW_CHARS).collect();
    let words: Vec<&str> = beginning.split_whitespace().collect();
    Some(shown(&words.join(" "), PREVIEW_CHARS)).filter(|words| !words.is_empty())
}

/// The note of a conversation: it has its identity, unless a person had made one at its place before.
async fn note_of(api: &Api, listed: &Listed) -> Option<String> {
    listed.conversation.started_at?;
    let id = listed.conversation.id.to_string();
    let vault = api.vaults.get(&listed.turn.message.vault)?;
    if vault.kind() == Kind::Parachute {
        // One that is asked for each would take too long on the way.
        return Some(id);
    }
    let lane = &listed.conversation.lane;
    let path = thread_path(lane.channel.as_str(), &lane.thread, listed.conversation.id);
    let keys = [NoteId::new(id).ok().map(Key::Id), Some(Key::Path(path))]; // silent-ok: a UUID is a valid id
    for key in keys.into_iter().flatten() {
        match vault.get(&key).await {
            Ok(Some(note)) => return Some(note.id.to_string()),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the note of a conversation is not known"),
        }
    }
    None
}

impl Conversation {
    async fn of(api: &Api, listed: Listed) -> Self {
        let note_id = note_of(api, &listed).await;
        let Listed {
            conversation,
            turn,
            title,
            archived,
            standing,
            ..
        } = listed;
        let last = [turn.claimed_at, turn.settled_at].into_iter().flatten().max();
        Self {
            thread: conversation.id,
            channel: conversation.lane.channel.to_string(),
            vault: turn.message.vault.clone(),
            key: conversation.lane.thread.into(),
            title,
            archived,
            state: standing.into(),
            last_at: last.map_or(turn.accepted_at, |last| last.max(turn.accepted_at)),
            preview: preview_of(&turn),
            note_id,
            turns: conversation.turns,
            session: conversation.session.map(|(id, _)| id),
            started_at: conversation.started_at,
            cost_usd: usd(conversation.spend.nano_usd),
        }
    }
}

/// The same of several, in their order.
pub(super) async fn views(api: &Api, mut listed: Vec<Listed>) -> Vec<Conversation> {
    let mut views = Vec::with_capacity(listed.len());
    while !listed.is_empty() {
        let rest = listed.split_off(listed.len().min(AT_ONCE));
        let part = std::mem::replace(&mut listed, rest);
        views.extend(join_all(part.into_iter().map(|one| Conversation::of(api, one))).await);
    }
    views
}

/// Which conversations are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Archived {
    /// Those that are not put away.
    #[default]
    False,
    /// Those that are.
    True,
    /// Both.
    All,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Words of messages and answers.
    q: Option<String>,
    /// The agent.
    channel: Option<String>,
    /// Only those.
    state: Option<Stands>,
    /// Those that are put away, or all; the others when nothing is said.
    #[serde(default)]
    #[param(inline, required = false)]
    archived: Archived,
    /// How many at most; 50 when nothing is said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A conversation that was looked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FoundThread)]
pub(super) struct Hit {
    #[serde(flatten)]
    conversation: Conversation,
    /// The words that were looked for, in their message; null when nothing was looked for, or they are not written so there.
    #[serde(rename = "match")]
    #[schema(required)]
    found: Option<Found>,
}

/// Conversations, that of which something happened last first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FoundThreads)]
pub(super) struct HitList {
    threads: Vec<Hit>,
    /// For `cursor`; null on the last page. A page can be short or empty and not the last one.
    #[schema(required)]
    next_cursor: Option<String>,
    /// Vaults in which nothing could be looked for.
    unsearched: Vec<Unsearched>,
}

/// The conversations of all agents, that of which something happened last first.
#[utoipa::path(
    get, path = "/api/threads", operation_id = "findThreads", tag = "turns", params(Which),
    responses(
        (status = 200, description = "The conversations.", body = HitList),
        (status = 404, description = "There is no such agent: `unknown_agent`."),
    ),
)]
pub(super) async fn list(
    State(api): State<Api>,
    which: Result<Parameters<Which>, QueryRejection>,
) -> Result<Json<HitList>, ApiError> {
    let Parameters(which) =
        which.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", error.body_text()))?;
    let channel = which.channel.as_deref().map(channel_name).transpose()?;
    if let Some(name) = &channel
        && !api.knows(name).await?
    {
        return Err(api.no_agent(name.as_str()));
    }
    let before = which.cursor.as_deref().map(str::parse::<u64>).transpose();
    let before = before.map_err(|_| invalid_cursor())?;
    let listing = Listing {
        channel,
        archived: match which.archived {
            Archived::False => Some(false),
            Archived::True => Some(true),
            Archived::All => None,
        },
        standing: which.state.map(Standing::from),
        before,
    };
    let limit = which.limit.unwrap_or(THREADS).clamp(1, THREADS_MAX);
    let words = which.q.as_deref().map(str::trim).filter(|words| !words.is_empty());
    let (listed, next, search) = match words {
        Some(words) => {
            let search = search(&api, words).await?;
            let found = api.queue.listed(search.hits.keys().copied().collect()).await?;
            let (page, next) = page_of(found, &listing, limit as usize);
            (page, next, search)
        }
        None => {
            let (page, next) = latest(&api, listing, limit).await?;
            (page, next, Search::default())
        }
    };
    let mut hits = search.hits;
    let threads = views(&api, listed).await.into_iter().map(|conversation| Hit {
        found: hits.remove(&conversation.thread).flatten(),
        conversation,
    });
    Ok(Json(HitList {
        threads: threads.collect(),
        next_cursor: next.map(|place| place.to_string()),
        unsearched: search.unsearched,
    }))
}

async fn latest(api: &Api, mut listing: Listing, limit: u32) -> Result<(Vec<Listed>, Option<u64>), ApiError> {
    let mut all: Vec<Listed> = Vec::new();
    for _ in 0..LOOKS {
        let left = limit - u32::try_from(all.len()).unwrap_or(limit);
        let page = api.queue.listing(&listing, left).await?;
        all.extend(page.threads);
        listing.before = page.next;
        if page.next.is_none() || all.len() >= limit as usize {
            break;
        }
    }
    Ok((all, listing.before))
}

/// Of those that were found the asked ones, and where to go on.
fn page_of(found: Vec<Listed>, listing: &Listing, limit: usize) -> (Vec<Listed>, Option<u64>) {
    let asked = |one: &Listed| {
        let channel = &one.conversation.lane.channel;
        listing.channel.as_ref().is_none_or(|name| name == channel)
            && listing.archived.is_none_or(|archived| archived == one.archived)
            && listing.standing.is_none_or(|standing| standing == one.standing)
            && listing.before.is_none_or(|before| one.place < before)
    };
    let mut page: Vec<Listed> = found.into_iter().filter(asked).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|last| last.place);
    (page, next)
}

/// What a person changes of a conversation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ThreadChange, example = json!({ "title": "The launch" }))]
pub(super) struct Change {
    /// Its name; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    title: Option<Option<String>>,
    /// Puts it away, or back.
    archived: Option<bool>,
}

/// Null is something else than nothing.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn unknown(thread: &str) -> ApiError {
    let message = format!("There is no conversation {thread:?}.");
    ApiError::new(StatusCode::NOT_FOUND, "unknown_thread", message)
        .then("Nothing was changed. GET /api/threads lists the conversations.")
}

/// A name without what nobody sees; blank is none.
fn title_of(text: &str) -> Result<Option<String>, ApiError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let title = words.join(" ");
    if title.chars().count() > TITLE_MAX || title.chars().any(char::is_control) {
        let message = format!("The title of a conversation has at most {TITLE_MAX} characters, all of them visible.");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_title", message)
            .then("Nothing was changed. Choose another one."));
    }
    Ok(Some(title).filter(|title| !title.is_empty()))
}

/// Names a conversation, or puts it away. What comes into it goes on as before.
#[utoipa::path(
    patch, path = "/api/threads/{thread}", operation_id = "editThread", tag = "turns",
    params(("thread" = String, Path, description = "The conversation.")),
    request_body = Change,
    responses(
        (status = 200, description = "The conversation as it is now.", body = Conversation),
        (status = 400, description = "The title is none: `invalid_title`."),
        (status = 404, description = "There is no such conversation: `unknown_thread`."),
    ),
)]
pub(super) async fn edit(
    State(api): State<Api>,
    Segment(thread): Segment,
    Body(change): Body<Change>,
) -> Result<Json<Conversation>, ApiError> {
    let id: Uuid = thread.parse().map_err(|_| unknown(&thread))?;
    let title = match change.title {
        Some(Some(title)) => Some(title_of(&title)?),
        other => other,
    };
    if !api.queue.label(id, title, change.archived).await? {
        return Err(unknown(&thread));
    }
    let listed = api
        .queue
        .listed(vec![id])
        .await?
        .pop()
        .ok_or_else(|| unknown(&thread))?;
    Ok(Json(Conversation::of(&api, listed).await))
}

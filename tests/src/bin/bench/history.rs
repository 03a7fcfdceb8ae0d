//! A past that was never lived: turns that have ended, with their messages, replies, threads and directories, as the daemon
//! itself writes them. A turn that it has run is copied as often as asked, by SQL, because a million turns cannot be run; then
//! the daemon is asked whether it takes them for turns.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;
use serde_json::Value;

use crate::daemon::Daemon;

/// One turn each half minute: a year for a million.
const PACE_MS: u32 = 30_000;
/// Every second turn is of the conversation that is measured; of the others so many are of one each.
const OF_ONE: u32 = 20;
/// Words, of which each stands in one message of so many.
const WORDS: u32 = 5_000;

/// The columns of a table that are copied as they are, after those that are given.
fn copied(database: &Connection, schema: &str, table: &str, given: &[(&str, &str)]) -> Result<String> {
    let mut names = database.prepare("SELECT name FROM pragma_table_info(?1, ?2)")?;
    let names = names
        .query_map([table, schema], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<_>, _>>()?;
    let own = |name: &&String| *name != "seq" && !given.iter().any(|(given, _)| given == name);
    let rest: Vec<String> = names.iter().filter(own).map(|name| format!("o.{name}")).collect();
    let columns: Vec<&str> = given.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = given.iter().map(|(_, value)| *value).collect();
    let bare: Vec<String> = rest.iter().map(|name| name.replace("o.", "")).collect();
    Ok(format!(
        "INSERT INTO {schema}.{table} ({}, {}) SELECT {}, {}",
        columns.join(", "),
        bare.join(", "),
        values.join(", "),
        rest.join(", ")
    ))
}

/// What is copied, and the identities of the copies: `past` has a row for each turn, `talks` one for each conversation.
fn plan(database: &Connection, turns: u32) -> Result<()> {
    // As those that are made in order of time.
    let id = |kind: u32| format!("printf('%08x-%04x-7%03x-8000-%012x', at >> 16, at & 65535, {kind}, n)");
    let dashed = "lower(substr(hex(conversation), 1, 8) || '-' || substr(hex(conversation), 9, 4) || '-' || \
         substr(hex(conversation), 13, 4) || '-' || substr(hex(conversation), 17, 4) || '-' || substr(hex(conversation), 21))";
    database.execute_batch(&format!(
        "CREATE TEMP TABLE model AS SELECT seq, note, record ->> '$.note' AS reply, {dashed} AS talk
             FROM main.turns WHERE state = 'ok' ORDER BY seq DESC LIMIT 1;
         CREATE TEMP TABLE past AS
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {turns}),
             timed AS (SELECT n, CAST(unixepoch('subsec') * 1000 AS INTEGER) - ({turns} + 1 - n) * {PACE_MS} AS at FROM n)
             SELECT n, at, {} AS note, {} AS turn, {} AS reply,
                 iif(n % 2, (SELECT talk FROM model), printf('01900000-0000-7000-8000-%012x', n / (2 * {OF_ONE}))) AS talk,
                 'answer number' || n || ' of subject' || (n % {WORDS}) AS text FROM timed;
         CREATE TEMP TABLE talks AS SELECT talk, min(n) AS n, min(at) AS at, max(at) AS last FROM past WHERE n % 2 = 0 GROUP BY talk;",
        id(0),
        id(1),
        id(2)
    ))?;
    Ok(())
}

/// The rows of the queue.
fn queue(database: &Connection) -> Result<()> {
    let talks = copied(
        database,
        "main",
        "conversations",
        &[
            ("id", "unhex(replace(p.talk, '-', ''))"),
            ("thread", "'subject:old' || p.n"),
            ("started_at", "p.at"),
            ("turns", "(SELECT count(*) FROM past q WHERE q.talk = p.talk)"),
        ],
    )?;
    let turns = copied(
        database,
        "main",
        "turns",
        &[
            ("id", "unhex(replace(p.turn, '-', ''))"),
            ("conversation", "unhex(replace(p.talk, '-', ''))"),
            ("note", "p.note"),
            ("chain", "p.note"),
            ("body", "json_set(o.body, '$.text', p.text)"),
            (
                "record",
                "json_set(o.record, '$.note', p.reply, '$.reply', 'done ' || p.n)",
            ),
            ("accepted_at", "p.at"),
            ("claimed_at", "p.at + 5"),
            ("settled_at", "p.at + 5000"),
            ("rank", "(SELECT seq FROM model) + p.n"),
        ],
    )?;
    database.execute_batch(&format!(
        "CREATE INDEX temp.past_talk ON past (talk);
         {talks} FROM talks p, (SELECT * FROM main.conversations ORDER BY seq LIMIT 1) AS o ORDER BY p.n;
         {turns} FROM past p, (SELECT * FROM main.turns WHERE seq = (SELECT seq FROM model)) AS o ORDER BY p.n;
         UPDATE main.conversations SET turns = turns + (SELECT count(*) FROM past p WHERE p.talk = (SELECT talk FROM model))
             WHERE seq = (SELECT min(seq) FROM main.conversations);
         INSERT INTO main.days (channel, day, turns, nano_usd)
             SELECT channel, settled_at / 86400000, count(*), sum(nano_usd) FROM main.turns WHERE true GROUP BY 1, 2
             ON CONFLICT DO UPDATE SET turns = excluded.turns, nano_usd = excluded.nano_usd;"
    ))?;
    Ok(())
}

/// The notes of the vault, and what they are found by.
fn vault(database: &Connection) -> Result<()> {
    let time = |at: &str| format!("strftime('%Y-%m-%dT%H:%M:%fZ', ({at}) / 1000.0, 'unixepoch')");
    let (asked, answered) = (time("p.at"), time("p.at + 5000"));
    let asked = format!("json_set(o.metadata, '$.ts', {asked})");
    let answered = format!(
        "json_set(o.metadata, '$.ts', {answered}, '$.in_reply_to', p.note, '$.thread', p.talk, '$.turn', p.turn)"
    );
    let began = format!(
        "json_set(o.metadata, '$.mode', 'multi-threaded', '$.turn_count', '{OF_ONE}', '$.started_at', {}, '$.last_turn_at', {})",
        time("p.at"),
        time("p.last + 5000")
    );
    let note = |id: &str, path: &str, at: &str, metadata: &str, content: &str| {
        let given = [
            ("id", id),
            ("path", path),
            ("created_at", at),
            ("updated_at", at),
            ("metadata", metadata),
            ("content", content),
        ];
        copied(database, "vault", "notes", &given)
    };
    let messages = note("p.note", "'channel/a0/' || p.note", "p.at", &asked, "p.text")?;
    let replies = note(
        "p.reply",
        "'channel/a0/' || p.reply",
        "p.at + 5000",
        &answered,
        "'done ' || p.n",
    )?;
    let threads = note("p.talk", "'Threads/a0/old' || p.n", "p.at", &began, "''")?;
    let of =
        |column: &str| format!("(SELECT * FROM vault.notes WHERE id = (SELECT {column} FROM model)) AS o ORDER BY p.n");
    let first: i64 = database.query_row("SELECT max(seq) FROM vault.notes", [], |row| row.get(0))?;
    database.execute_batch(&format!(
        "{messages} FROM past p, {};
         {replies} FROM past p, {};
         {threads} FROM talks p, {};
         INSERT INTO vault.note_tags (tag, created_at, note, agent)
             SELECT t.value, n.created_at, n.seq, n.agent FROM vault.notes n, json_each(n.tags) t WHERE n.seq > {first} ORDER BY 1, 2, 3;
         INSERT INTO vault.note_fields (field, value, note)
             SELECT f.name, n.metadata ->> ('$.' || f.name), n.seq FROM vault.notes n, vault.indexed_fields f
             WHERE n.seq > {first} AND n.metadata ->> ('$.' || f.name) IS NOT NULL ORDER BY 1, 2, 3;
         INSERT INTO vault.notes_fts (rowid, content) SELECT seq, content FROM vault.notes WHERE seq > {first};
         INSERT INTO vault.changes (note_id, kind) SELECT id, 'created' FROM vault.notes WHERE seq > {first} ORDER BY seq;
         UPDATE main.cursors SET at = (SELECT max(cursor) FROM vault.changes);",
        of("note"),
        of("reply"),
        of("talk")
    ))?;
    Ok(())
}

/// The directories of the conversations, with a session each.
fn directories(database: &Connection, state: &Path) -> Result<()> {
    let mut talks = database.prepare("SELECT talk FROM talks")?;
    let talks = talks.query_map([], |row| row.get::<_, String>(0))?;
    for talk in talks {
        let talk = talk?;
        let dir = state.join("conversations").join(&talk);
        let project = dir.join("home/.claude/projects/bench");
        std::fs::create_dir_all(&project)?;
        for name in ["ctl", "tmp", "work"] {
            std::fs::create_dir(dir.join(name))?;
        }
        std::fs::write(
            project.join(format!("{talk}.jsonl")),
            "{\"type\":\"user\",\"uuid\":\"bench\"}\n",
        )?;
    }
    Ok(())
}

/// Copies the last turn, and all that it has left, that many times. The daemon does not run.
pub(crate) fn add(state: &Path, turns: u32) -> Result<()> {
    if turns == 0 {
        return Ok(());
    }
    let database = Connection::open(state.join("queue.db"))?;
    let path = state.join("vaults/default.db");
    database.execute("ATTACH ? AS vault", [path.to_str().context("a path that is no text")?])?;
    // Whoever loses power while this runs begins again.
    for schema in ["main", "vault"] {
        database.execute_batch(&format!(
            "PRAGMA {schema}.synchronous = OFF; PRAGMA {schema}.cache_size = -262144;"
        ))?;
    }
    database.execute_batch("PRAGMA temp_store = MEMORY; BEGIN")?;
    plan(&database, turns)?;
    queue(&database)?;
    vault(&database)?;
    database.execute_batch("COMMIT; PRAGMA main.wal_checkpoint(TRUNCATE); PRAGMA vault.wal_checkpoint(TRUNCATE);")?;
    directories(&database, state)
}

/// Whether the daemon tells of the copies as of its own: how many there are, the oldest and the newest as turns, their
/// messages, a thread, and what is found by a word.
pub(crate) async fn check(daemon: &Daemon, http: &reqwest::Client, state: &Path, turns: u32) -> Result<()> {
    if turns == 0 {
        return Ok(());
    }
    let agent = daemon.get(http, "/api/agents/a0").await?;
    let told = agent["turns"]
        .as_u64()
        .with_context(|| format!("no turns in {agent}"))?;
    ensure!(told >= u64::from(turns), "{told} turns instead of {turns}");
    let database = Connection::open(state.join("queue.db"))?;
    for end in ["ASC", "DESC"] {
        let sql = format!(
            "SELECT lower(hex(id)), note, record ->> '$.reply', body ->> '$.text' FROM turns WHERE record ->> '$.reply' LIKE 'done %' \
             ORDER BY seq {end} LIMIT 1"
        );
        let [id, note, reply, text]: [String; 4] =
            database.query_row(&sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
        let turn = daemon.get(http, &format!("/api/turns/{id}")).await?;
        ensure!(
            turn["state"] == "ok" && turn["reply"] == reply,
            "no turn as it should be: {turn}"
        );
        let thread = turn["thread"].as_str().context("a turn of no thread")?;
        let found = daemon.get(http, &format!("/vault/default/api/notes/{note}")).await?;
        ensure!(found["content"] == text, "no message as it should be: {found}");
        let word = text.split(' ').nth(1).context("a word")?;
        let hits = daemon
            .get(http, &format!("/vault/default/api/notes?search={word}"))
            .await?;
        ensure!(hits[0]["id"] == note, "{word} is not found: {hits}");
        let found = daemon.get(http, &format!("/api/threads?q={word}")).await?;
        ensure!(
            found["threads"][0]["thread"] == thread,
            "{word} is in no thread: {found}"
        );
    }
    let page = daemon.get(http, "/api/channels/a0/messages?limit=50").await?;
    let messages = page["messages"].as_array().map_or(0, Vec::len);
    ensure!(messages == 50, "a page has {messages} messages: {page}");
    let page = daemon.get(http, "/api/threads?limit=50").await?;
    let threads = page["threads"].as_array().map_or(0, Vec::len);
    let expected = usize::try_from(turns / 2 / OF_ONE)?.min(50);
    ensure!(threads >= expected, "a page has {threads} threads: {page}");
    let next: &Value = &page["next_cursor"];
    ensure!(threads < 50 || next.is_string(), "the list ends: {next}");
    Ok(())
}

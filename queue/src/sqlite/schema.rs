//! The tables, and their migrations.

use rusqlite::Connection;

use super::Fault;

/// `MIGRATIONS[n]` leads from `user_version` n to n + 1. Never edit one that was released; append.
pub(super) const MIGRATIONS: &[&str] = &["
CREATE TABLE conversations (
    seq                INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of creation, whatever the clock does
    id                 BLOB NOT NULL UNIQUE,
    channel            TEXT NOT NULL,
    thread             TEXT NOT NULL,             -- ThreadKey::encode
    session            BLOB,
    session_cwd        TEXT,
    turns              INTEGER NOT NULL DEFAULT 0,
    started_at         INTEGER,                   -- all times: milliseconds since 1970 UTC
    input_tokens       INTEGER NOT NULL DEFAULT 0,
    output_tokens      INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens  INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens INTEGER NOT NULL DEFAULT 0,
    nano_usd           INTEGER NOT NULL DEFAULT 0,
    UNIQUE (channel, thread)
);
CREATE TABLE turns (
    seq                INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of acceptance
    id                 BLOB NOT NULL UNIQUE,
    conversation       BLOB NOT NULL REFERENCES conversations (id),
    channel            TEXT NOT NULL,
    vault              TEXT NOT NULL,
    note               TEXT NOT NULL,
    body               TEXT NOT NULL,
    state              TEXT NOT NULL,
    epoch              INTEGER NOT NULL DEFAULT 0,
    lease_until        INTEGER,
    interruptions      INTEGER NOT NULL DEFAULT 0,
    begun_session      BLOB,                                -- of the present claim, once it gives the prompt
    cut_session        BLOB,                                -- of the last attempt that was cut off
    accepted_at        INTEGER NOT NULL,
    claimed_at         INTEGER,
    settled_at         INTEGER,
    record             TEXT,
    input_tokens       INTEGER NOT NULL DEFAULT 0,
    output_tokens      INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens  INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens INTEGER NOT NULL DEFAULT 0,
    nano_usd           INTEGER NOT NULL DEFAULT 0,
    UNIQUE (vault, note)
);
-- Open turns only: work per claim grows neither with the settled history nor with the line.
CREATE INDEX turns_waiting ON turns (channel, conversation, seq) WHERE state = 'waiting';
-- Unique: a lane has one worker, whatever the code does.
CREATE UNIQUE INDEX turns_working ON turns (channel, conversation) WHERE state = 'working';
CREATE INDEX turns_settled ON turns (channel, settled_at) WHERE settled_at IS NOT NULL;
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    turn       BLOB NOT NULL,
    target     TEXT NOT NULL,
    body       TEXT NOT NULL,
    parked     INTEGER NOT NULL DEFAULT 0,
    attempts   INTEGER NOT NULL DEFAULT 0,
    due_at     INTEGER NOT NULL,
    last_error TEXT
);
CREATE INDEX outbox_pending ON outbox (target, id) WHERE parked = 0;
CREATE TABLE cursors (
    feed TEXT PRIMARY KEY,
    at   INTEGER NOT NULL
) WITHOUT ROWID;
", "
ALTER TABLE conversations ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;  -- grows with each reset
ALTER TABLE turns ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;                -- place in line: seq, until somebody moves it
ALTER TABLE turns ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
ALTER TABLE turns ADD COLUMN mode TEXT NOT NULL DEFAULT 'followup';
ALTER TABLE turns ADD COLUMN chain TEXT NOT NULL DEFAULT '';
ALTER TABLE turns ADD COLUMN leader BLOB;                                    -- the turn that this one is part of
ALTER TABLE turns ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;          -- of the conversation, when it was claimed
UPDATE turns SET rank = seq, chain = note;
DROP INDEX turns_waiting;
CREATE INDEX turns_waiting ON turns (channel, conversation, held, rank) WHERE state = 'waiting';
CREATE INDEX turns_joined ON turns (leader) WHERE leader IS NOT NULL;
CREATE INDEX turns_chain ON turns (chain);
CREATE TABLE days (
    channel  TEXT NOT NULL,
    day      INTEGER NOT NULL,                    -- days since 1970 UTC
    turns    INTEGER NOT NULL DEFAULT 0,
    nano_usd INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, channel)
) WITHOUT ROWID;
CREATE INDEX days_channel ON days (channel);      -- for a channel that gets another name
CREATE TABLE pauses (
    channel TEXT PRIMARY KEY,
    code    TEXT NOT NULL,
    reason  TEXT NOT NULL,
    since   INTEGER NOT NULL,
    until   INTEGER
) WITHOUT ROWID;
CREATE TABLE bindings (
    vault   TEXT NOT NULL,
    note    TEXT NOT NULL,
    channel TEXT NOT NULL,
    PRIMARY KEY (vault, note)
) WITHOUT ROWID;
CREATE INDEX bindings_channel ON bindings (channel);
", "
CREATE INDEX outbox_turn ON outbox (turn);
", "
ALTER TABLE turns ADD COLUMN owner TEXT;                                     -- who took it from outside; NULL: a worker of ours
-- A lane has one worker still, whatever the code does. Those who take from outside may be several.
DROP INDEX turns_working;
CREATE INDEX turns_working ON turns (channel, conversation) WHERE state = 'working';
CREATE UNIQUE INDEX turns_one_worker ON turns (channel, conversation) WHERE state = 'working' AND owner IS NULL;
-- The line of a channel over all its lanes.
CREATE INDEX turns_line ON turns (channel, rank) WHERE state = 'waiting' AND held = 0;
", "
CREATE TABLE holders (
    channel TEXT PRIMARY KEY,
    vault   TEXT NOT NULL,                        -- the note that had the channel last, also when it defines nothing any more
    note    TEXT NOT NULL
) WITHOUT ROWID;
INSERT OR REPLACE INTO holders (channel, vault, note) SELECT channel, vault, note FROM bindings;
", "
-- Everything that is told of a span of time, so that the rows themselves need not be read. What was withdrawn in line and what
-- joined another turn is not among it; `leader` is in it because SQLite looks at it all the same.
CREATE INDEX turns_ended ON turns (settled_at, channel, state, accepted_at, claimed_at, input_tokens, output_tokens, nano_usd, leader)
    WHERE settled_at IS NOT NULL AND leader IS NULL AND claimed_at IS NOT NULL;
", "
ALTER TABLE conversations ADD COLUMN title TEXT;                             -- given by a person
ALTER TABLE conversations ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
CREATE INDEX turns_conversation ON turns (conversation, seq);                -- the newest turn of a conversation, and all of them
", "
-- The newest turn of each conversation: lists of them read no turn that is not shown. 0: it has none.
ALTER TABLE conversations ADD COLUMN latest INTEGER NOT NULL DEFAULT 0;
UPDATE conversations SET latest = coalesce((SELECT max(seq) FROM turns WHERE conversation = conversations.id), 0);
CREATE INDEX conversations_latest ON conversations (archived, latest);
CREATE INDEX conversations_of_channel ON conversations (channel, archived, latest);
CREATE INDEX conversations_made ON conversations (channel);                  -- in their order: it ends with seq
CREATE INDEX turns_failed ON turns (seq) WHERE state IN ('error', 'interrupted');
CREATE TRIGGER turns_newest AFTER INSERT ON turns BEGIN
    UPDATE conversations SET latest = NEW.seq WHERE id = NEW.conversation;
END;
CREATE TRIGGER turns_moved AFTER UPDATE OF conversation ON turns BEGIN
    UPDATE conversations SET latest = coalesce((SELECT max(seq) FROM turns WHERE conversation = conversations.id), 0)
        WHERE id IN (OLD.conversation, NEW.conversation);
END;
-- Sums over the conversations of a channel, so that they need not be read. They end at the largest number.
CREATE TABLE totals (
    channel            TEXT PRIMARY KEY,
    conversations      INTEGER NOT NULL,
    turns              INTEGER NOT NULL,
    input_tokens       INTEGER NOT NULL,
    output_tokens      INTEGER NOT NULL,
    cache_read_tokens  INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    nano_usd           INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO totals SELECT channel, count(*), sum(turns),
    iif(sum(input_tokens >> 32) + (sum(input_tokens & 4294967295) >> 32) >= 2147483648, 9223372036854775807, (sum(input_tokens >> 32) << 32) + sum(input_tokens & 4294967295)),
    iif(sum(output_tokens >> 32) + (sum(output_tokens & 4294967295) >> 32) >= 2147483648, 9223372036854775807, (sum(output_tokens >> 32) << 32) + sum(output_tokens & 4294967295)),
    iif(sum(cache_read_tokens >> 32) + (sum(cache_read_tokens & 4294967295) >> 32) >= 2147483648, 9223372036854775807, (sum(cache_read_tokens >> 32) << 32) + sum(cache_read_tokens & 4294967295)),
    iif(sum(cache_write_tokens >> 32) + (sum(cache_write_tokens & 4294967295) >> 32) >= 2147483648, 9223372036854775807, (sum(cache_write_tokens >> 32) << 32) + sum(cache_write_tokens & 4294967295)),
    iif(sum(nano_usd >> 32) + (sum(nano_usd & 4294967295) >> 32) >= 2147483648, 9223372036854775807, (sum(nano_usd >> 32) << 32) + sum(nano_usd & 4294967295))
    FROM conversations GROUP BY channel;
CREATE TRIGGER totals_made AFTER INSERT ON conversations BEGIN
    INSERT INTO totals (channel, conversations, turns, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, nano_usd)
        VALUES (NEW.channel, 1, NEW.turns, NEW.input_tokens, NEW.output_tokens, NEW.cache_read_tokens, NEW.cache_write_tokens, NEW.nano_usd)
        ON CONFLICT (channel) DO UPDATE SET conversations = conversations + 1, turns = turns + excluded.turns,
        input_tokens = min(input_tokens + excluded.input_tokens, 9223372036854775807),
        output_tokens = min(output_tokens + excluded.output_tokens, 9223372036854775807),
        cache_read_tokens = min(cache_read_tokens + excluded.cache_read_tokens, 9223372036854775807),
        cache_write_tokens = min(cache_write_tokens + excluded.cache_write_tokens, 9223372036854775807),
        nano_usd = min(nano_usd + excluded.nano_usd, 9223372036854775807);
END;
CREATE TRIGGER totals_counted AFTER UPDATE OF turns, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, nano_usd ON conversations
WHEN OLD.channel = NEW.channel BEGIN
    UPDATE totals SET turns = turns + NEW.turns - OLD.turns,
        input_tokens = min(input_tokens + (NEW.input_tokens - OLD.input_tokens), 9223372036854775807),
        output_tokens = min(output_tokens + (NEW.output_tokens - OLD.output_tokens), 9223372036854775807),
        cache_read_tokens = min(cache_read_tokens + (NEW.cache_read_tokens - OLD.cache_read_tokens), 9223372036854775807),
        cache_write_tokens = min(cache_write_tokens + (NEW.cache_write_tokens - OLD.cache_write_tokens), 9223372036854775807),
        nano_usd = min(nano_usd + (NEW.nano_usd - OLD.nano_usd), 9223372036854775807)
        WHERE channel = NEW.channel;
END;
CREATE TRIGGER totals_moved AFTER UPDATE OF channel ON conversations WHEN OLD.channel <> NEW.channel BEGIN
    UPDATE totals SET conversations = conversations - 1, turns = turns - OLD.turns,
        input_tokens = max(input_tokens - OLD.input_tokens, 0),
        output_tokens = max(output_tokens - OLD.output_tokens, 0),
        cache_read_tokens = max(cache_read_tokens - OLD.cache_read_tokens, 0),
        cache_write_tokens = max(cache_write_tokens - OLD.cache_write_tokens, 0),
        nano_usd = max(nano_usd - OLD.nano_usd, 0)
        WHERE channel = OLD.channel;
    DELETE FROM totals WHERE channel = OLD.channel AND conversations = 0;
    INSERT INTO totals (channel, conversations, turns, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, nano_usd)
        VALUES (NEW.channel, 1, NEW.turns, NEW.input_tokens, NEW.output_tokens, NEW.cache_read_tokens, NEW.cache_write_tokens, NEW.nano_usd)
        ON CONFLICT (channel) DO UPDATE SET conversations = conversations + 1, turns = turns + excluded.turns,
        input_tokens = min(input_tokens + excluded.input_tokens, 9223372036854775807),
        output_tokens = min(output_tokens + excluded.output_tokens, 9223372036854775807),
        cache_read_tokens = min(cache_read_tokens + excluded.cache_read_tokens, 9223372036854775807),
        cache_write_tokens = min(cache_write_tokens + excluded.cache_write_tokens, 9223372036854775807),
        nano_usd = min(nano_usd + excluded.nano_usd, 9223372036854775807);
END;
"];

/// The newest version of the tables that this program knows (`user_version`). A file with a newer one is refused, and left as it is.
pub const TABLES: usize = MIGRATIONS.len();

/// Brings the file to the present version.
pub(super) fn migrate(connection: &Connection) -> Result<(), Fault> {
    let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > MIGRATIONS.len() {
        return Err(Fault::Unavailable(format!(
            "a newer version of Reveille wrote queue.db (layout {version}, this one knows up to {}), and it was left as it is: start \
             that version again",
            MIGRATIONS.len()
        )));
    }
    for (from, script) in MIGRATIONS.iter().enumerate().skip(version) {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {script} PRAGMA user_version = {}; COMMIT",
            from + 1
        ))?;
    }
    Ok(())
}

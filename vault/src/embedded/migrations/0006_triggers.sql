-- Whom to tell of which writes.
CREATE TABLE triggers (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL UNIQUE,
    events     TEXT    NOT NULL, -- JSON array of `created` and `updated`
    predicate  TEXT    NOT NULL, -- JSON object, the `when` of the trigger
    webhook    TEXT    NOT NULL,
    timeout_ms INTEGER NOT NULL,
    bearer     TEXT,
    secret     TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('enabled', 'paused', 'gone')),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- What is to be told, written in the transaction of the note. No reference to the note: what happened to it is told also
-- when it is gone. `next_at` is set for the first one that waits of each note only: the others follow in their order.
CREATE TABLE deliveries (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    trigger    INTEGER NOT NULL REFERENCES triggers (seq) ON DELETE CASCADE,
    note_id    TEXT    NOT NULL,
    event      TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts   INTEGER NOT NULL DEFAULT 0,
    next_at    INTEGER,
    status     INTEGER,          -- HTTP status of the last answer
    error      TEXT,             -- why the last attempt failed
    remark     TEXT,             -- what else the receiver said
    created_at INTEGER NOT NULL,
    settled_at INTEGER,
    body       TEXT              -- what is sent; dropped when it is delivered
) STRICT;

CREATE INDEX deliveries_due      ON deliveries (trigger, next_at, seq) WHERE state = 'waiting' AND next_at IS NOT NULL;
CREATE INDEX deliveries_in_line  ON deliveries (trigger, note_id, seq) WHERE state = 'waiting';
CREATE INDEX deliveries_by_state ON deliveries (trigger, state, seq);

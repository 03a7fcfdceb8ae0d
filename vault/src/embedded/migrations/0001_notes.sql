-- The notes. `seq` is the order of insertion; it is never reused, so that a page cursor stays right after deletes.
-- Times are milliseconds since 1970 (UTC). `content` stands last: a long body spills over to pages of its own, which
-- reading the columns before it does not touch.
CREATE TABLE notes (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    path       TEXT    UNIQUE,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    agent      TEXT,             -- metadata key `agent` as text, for the indexes
    tags       TEXT    NOT NULL, -- JSON array, sorted
    metadata   TEXT    NOT NULL, -- JSON object
    content    TEXT    NOT NULL
) STRICT;

CREATE INDEX notes_by_time  ON notes (created_at, seq);
CREATE INDEX notes_by_path  ON notes (path COLLATE NOCASE) WHERE path IS NOT NULL;
CREATE INDEX notes_by_agent ON notes (agent, created_at, seq) WHERE agent IS NOT NULL;

-- An index of notes by tag: all of it can be made again from `notes`. It repeats what listings sort and filter by.
CREATE TABLE note_tags (
    tag        TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    note       INTEGER NOT NULL REFERENCES notes (seq) ON DELETE CASCADE,
    agent      TEXT,
    PRIMARY KEY (tag, created_at, note)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX note_tags_by_note ON note_tags (note, tag);
CREATE INDEX note_tags_by_agent ON note_tags (tag, agent, created_at, note) WHERE agent IS NOT NULL;

-- The change log, written in the transaction of the change. No foreign key: a deleted note keeps its rows.
CREATE TABLE changes (
    cursor  INTEGER PRIMARY KEY AUTOINCREMENT,
    note_id TEXT NOT NULL,
    kind    TEXT NOT NULL CHECK (kind IN ('created', 'updated', 'deleted'))
) STRICT;

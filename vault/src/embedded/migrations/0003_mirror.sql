-- For vaults whose notes are elsewhere (a folder, another server): what was last seen there, and of which note it is.
CREATE TABLE sources (
    name  TEXT PRIMARY KEY,        -- how the other side calls it: a path of a file, an id
    note  INTEGER NOT NULL REFERENCES notes (seq) ON DELETE CASCADE,
    stamp TEXT NOT NULL            -- what tells whether it has changed, in the words of that kind of vault
) STRICT, WITHOUT ROWID;

CREATE INDEX sources_by_note ON sources (note);

-- Where a scan has got to, and the like.
CREATE TABLE memos (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

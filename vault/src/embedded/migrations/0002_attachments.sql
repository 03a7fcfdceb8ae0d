-- Files that belong to notes. The bytes are in the directory beside the database, one file each, named by `id`.
CREATE TABLE files (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    path       TEXT    NOT NULL UNIQUE, -- how clients name it; never a path on this machine
    filename   TEXT    NOT NULL,
    mime_type  TEXT    NOT NULL,
    size       INTEGER NOT NULL,        -- bytes
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE attachments (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT    NOT NULL UNIQUE,
    note       INTEGER NOT NULL REFERENCES notes (seq) ON DELETE CASCADE,
    file       INTEGER NOT NULL REFERENCES files (seq),
    filename   TEXT    NOT NULL,
    mime_type  TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX attachments_by_note ON attachments (note, seq);
CREATE INDEX attachments_by_file ON attachments (file);

-- Names in the directory that no row of `files` stands for: an upload that is not finished, or a file whose row is gone.
-- Written before the first byte and in the transaction of the removal, so that no crash leaves bytes that nobody knows of.
CREATE TABLE doomed_files (
    id    TEXT    PRIMARY KEY,
    since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

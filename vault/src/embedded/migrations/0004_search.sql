CREATE INDEX notes_by_update ON notes (updated_at, seq);

-- Metadata fields by which listings can be ordered and narrowed. `value` is an integer or a real for what is a number, a
-- text otherwise: SQLite sorts numbers before texts.
CREATE TABLE indexed_fields (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE note_fields (
    field TEXT    NOT NULL REFERENCES indexed_fields (name) ON DELETE CASCADE,
    value ANY     NOT NULL,
    note  INTEGER NOT NULL REFERENCES notes (seq) ON DELETE CASCADE,
    PRIMARY KEY (field, value, note)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX note_fields_by_note ON note_fields (note, field);

-- The words of the bodies, by `seq`. It keeps no copy of them. Of a very long body only the beginning is searched.
CREATE VIRTUAL TABLE notes_fts USING fts5 (
    content,
    content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);

-- Stays empty. It tells whether an expression is one, without looking anything up.
CREATE VIRTUAL TABLE fts_syntax USING fts5 (content, content = '');

INSERT INTO notes_fts (rowid, content) SELECT seq, substr(content, 1, 1048576) FROM notes;

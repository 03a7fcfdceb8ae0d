-- Every tag that was ever used, with what is said of it.
CREATE TABLE tags (
    name        TEXT PRIMARY KEY,
    description TEXT,
    fields      TEXT               -- JSON object
) STRICT, WITHOUT ROWID;

-- One round of the recursion steps over all notes of a tag.
INSERT INTO tags (name)
WITH RECURSIVE used (tag) AS (
    SELECT min(tag) FROM note_tags
    UNION ALL
    SELECT (SELECT min(tag) FROM note_tags WHERE tag > used.tag) FROM used WHERE used.tag IS NOT NULL
)
SELECT tag FROM used WHERE tag IS NOT NULL;

-- Which tag is a kind of which: one graph, that may have cycles.
CREATE TABLE tag_edges (
    parent TEXT NOT NULL,
    child  TEXT NOT NULL,
    note   INTEGER REFERENCES notes (seq) ON DELETE CASCADE -- that says so; null: the schema of the child does
) STRICT;

CREATE INDEX tag_edges_by_parent ON tag_edges (parent, child);
CREATE INDEX tag_edges_by_child ON tag_edges (child);
CREATE INDEX tag_edges_by_note ON tag_edges (note);

INSERT INTO tag_edges (parent, child, note)
SELECT DISTINCT trim(ltrim(trim(p.value), '#')), trim(ltrim(trim(substr(n.path, 7)), '#')), n.seq
FROM notes n, json_each(n.metadata, '$.parents') p
WHERE n.path >= '_tags/' AND n.path < '_tags0' AND p.type = 'text' AND trim(ltrim(trim(p.value), '#')) <> ''
    AND trim(ltrim(trim(substr(n.path, 7)), '#')) <> '';

-- Links between notes. Those that stand in the body of their source are written anew with it.
CREATE TABLE links (
    seq          INTEGER PRIMARY KEY,
    source       INTEGER NOT NULL REFERENCES notes (seq) ON DELETE CASCADE,
    target       INTEGER REFERENCES notes (seq) ON DELETE SET NULL, -- null: there is no such note now
    name         TEXT    NOT NULL, -- how the source calls the target
    relationship TEXT    NOT NULL,
    metadata     TEXT    NOT NULL, -- JSON object
    in_body      INTEGER NOT NULL, -- 1: a wikilink; 0: given with the note
    created_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX links_by_source ON links (source, target);
CREATE INDEX links_by_target ON links (target);
CREATE INDEX links_that_wait ON links (name) WHERE target IS NULL AND in_body = 0;

-- By the last segment: what is left behind the last slash.
CREATE INDEX links_by_segment ON links (
    substr(name, length(rtrim(name, replace(name, '/', ''))) + 1) COLLATE NOCASE
) WHERE in_body = 1;
CREATE INDEX notes_by_segment ON notes (
    substr(path, length(rtrim(path, replace(path, '/', ''))) + 1) COLLATE NOCASE
) WHERE path IS NOT NULL;

-- The bodies that are there have not been read for links yet: that is done while nobody waits, beginning with the newest.
INSERT INTO memos (key, value) SELECT 'links.unread', max(seq) FROM notes HAVING max(seq) IS NOT NULL;

INSERT INTO memos (key, value)
SELECT 'vault.made_at', coalesce(min(created_at), CAST(unixepoch('subsec') * 1000 AS INTEGER)) FROM notes;

-- How many notes carry each tag, so that they need not be counted.
CREATE TABLE tag_counts (
    tag   TEXT    PRIMARY KEY,
    notes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO tag_counts (tag, notes) SELECT tag, count(*) FROM note_tags GROUP BY tag;

CREATE TRIGGER tag_given AFTER INSERT ON note_tags BEGIN
    INSERT INTO tag_counts (tag, notes) VALUES (NEW.tag, 1) ON CONFLICT (tag) DO UPDATE SET notes = notes + 1;
END;
-- Also where the note itself goes.
CREATE TRIGGER tag_taken AFTER DELETE ON note_tags BEGIN
    UPDATE tag_counts SET notes = notes - 1 WHERE tag = OLD.tag;
END;

-- Identity of the change log, so that a position in it is never taken for one in the log of another vault.
INSERT INTO memos (key, value) VALUES ('log', lower(hex(randomblob(16))));

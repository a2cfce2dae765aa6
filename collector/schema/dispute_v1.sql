-- dispute.db, version 1: what people said of samples, outages and weak spots. Append-only; each row is chained to the one before.
CREATE TABLE step (
  n INTEGER PRIMARY KEY, opening INTEGER NOT NULL, at_ms INTEGER NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL,
  what TEXT NOT NULL, body TEXT NOT NULL, prev BLOB NOT NULL, digest BLOB NOT NULL UNIQUE
) STRICT;
CREATE INDEX step_opening ON step (opening, n);
CREATE TRIGGER step_no_update BEFORE UPDATE ON step BEGIN
  SELECT RAISE(ABORT, 'what was said stays: add another step');
END;
CREATE TRIGGER step_no_delete BEFORE DELETE ON step BEGIN
  SELECT RAISE(ABORT, 'what was said stays: add another step');
END;

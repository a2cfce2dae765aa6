-- reports.db, version 1: reports as they were made, what officials entered for them, whom to remind, what was sent.
-- The bytes lie in the folder `reports`, each file named by its SHA-256. Nothing of a snapshot is ever changed.
CREATE TABLE snapshot (
  n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, made_ms INTEGER NOT NULL, made_by TEXT NOT NULL, kind TEXT NOT NULL,
  unit TEXT NOT NULL, unit_name TEXT NOT NULL, language TEXT NOT NULL CHECK (language IN ('vi', 'en')),
  starts_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL, as_of_ms INTEGER NOT NULL, subject TEXT NOT NULL,
  ledger_n INTEGER NOT NULL, redo_n INTEGER NOT NULL, registry_n INTEGER NOT NULL,
  log_name TEXT, log_size INTEGER, log_root TEXT, model TEXT NOT NULL, follows TEXT, changed INTEGER NOT NULL
) STRICT;
CREATE INDEX snapshot_of ON snapshot (unit, kind, starts_ms);
CREATE TABLE drawing (
  snapshot INTEGER NOT NULL REFERENCES snapshot (n), format TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
  PRIMARY KEY (snapshot, format)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER snapshot_stays BEFORE UPDATE ON snapshot BEGIN SELECT raise(ABORT, 'a snapshot is never changed'); END;
CREATE TRIGGER snapshot_kept BEFORE DELETE ON snapshot BEGIN SELECT raise(ABORT, 'a snapshot is never deleted'); END;
CREATE TRIGGER drawing_stays BEFORE UPDATE ON drawing BEGIN SELECT raise(ABORT, 'a drawing is never changed'); END;
CREATE TRIGGER drawing_kept BEFORE DELETE ON drawing BEGIN SELECT raise(ABORT, 'a drawing is never deleted'); END;
CREATE TABLE remark (
  n INTEGER PRIMARY KEY, unit TEXT NOT NULL, starts_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL,
  topic TEXT NOT NULL CHECK (topic IN ('outreach', 'difficulties', 'proposals')), said TEXT NOT NULL,
  by TEXT NOT NULL, entered_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX remark_of ON remark (unit, starts_ms);
CREATE TABLE office (
  n INTEGER PRIMARY KEY, unit TEXT NOT NULL, office TEXT NOT NULL, by TEXT NOT NULL, entered_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE message (
  key TEXT PRIMARY KEY, channel TEXT NOT NULL CHECK (channel IN ('mail', 'hook')), address TEXT NOT NULL,
  subject TEXT NOT NULL, body TEXT NOT NULL, attached TEXT, made_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL,
  tries INTEGER NOT NULL, sent_ms INTEGER, gave_up INTEGER NOT NULL DEFAULT 0, fault TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE done (key TEXT PRIMARY KEY, done_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- session.db, version 1: who is in, and who tried to get in. It may be lost: everybody then logs in again.
-- Ids and keys are hashes; `address` is where a session began, for its owner's list of sessions.
CREATE TABLE session (
  id BLOB PRIMARY KEY, owner TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('login', 'board')),
  made_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_owner ON session (owner, made_ms);
CREATE TABLE attempt (n INTEGER PRIMARY KEY, key BLOB NOT NULL, at_ms INTEGER NOT NULL) STRICT;
CREATE INDEX attempt_key ON attempt (key, at_ms);
CREATE INDEX attempt_at ON attempt (at_ms);
CREATE TABLE device (hash BLOB PRIMARY KEY, owner TEXT NOT NULL, seen_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE failed (owner TEXT NOT NULL, hour_ms INTEGER NOT NULL, times INTEGER NOT NULL, PRIMARY KEY (owner, hour_ms)) STRICT, WITHOUT ROWID;

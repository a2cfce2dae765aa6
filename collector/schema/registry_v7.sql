-- registry.db, version 7: accounts beyond their password, passes without an account, the audit trail, people's samples.
-- No secret is stored: a second factor's key is derived from a nonce here and a file beside (collector.accounts).
CREATE TABLE account (
  name TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('invited', 'active', 'disabled')),
  made_ms INTEGER NOT NULL, changed_ms INTEGER,
  totp_nonce BLOB, totp_pending BLOB, totp_step INTEGER, invite BLOB UNIQUE, invite_until_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE recovery_code (
  name TEXT NOT NULL, hash BLOB NOT NULL, used_ms INTEGER, PRIMARY KEY (name, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE wall_board (
  id TEXT PRIMARY KEY, label TEXT NOT NULL, scope TEXT NOT NULL, made_by TEXT NOT NULL, made_ms INTEGER NOT NULL,
  code BLOB UNIQUE, code_until_ms INTEGER NOT NULL, opened_ms INTEGER, expires_ms INTEGER NOT NULL, revoked_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE head_link (
  id TEXT PRIMARY KEY, hamlet TEXT NOT NULL, token BLOB NOT NULL UNIQUE, pin TEXT NOT NULL, made_by TEXT NOT NULL,
  made_ms INTEGER NOT NULL, used_ms INTEGER, revoked_ms INTEGER, wrong INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX head_link_hamlet ON head_link (hamlet, made_ms);
CREATE TABLE audit (
  n INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, actor TEXT NOT NULL, role TEXT NOT NULL, what TEXT NOT NULL,
  target TEXT NOT NULL, number INTEGER, raw BLOB NOT NULL
) STRICT;
CREATE INDEX audit_actor ON audit (actor, n);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit trail is append-only');
END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit trail is append-only');
END;
-- A third figure that people bring: samples that they took, beside who installed.
CREATE TABLE entered_count_7 (
  n INTEGER PRIMARY KEY, counter TEXT NOT NULL CHECK (counter IN ('portal', 'people', 'people_samples')),
  unit TEXT NOT NULL, starts_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL, value INTEGER NOT NULL CHECK (value >= 0),
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
INSERT INTO entered_count_7 SELECT n, counter, unit, starts_ms, ends_ms, value, valid_from_ms, recorded_ms, source FROM entered_count;
DROP TABLE entered_count;
ALTER TABLE entered_count_7 RENAME TO entered_count;
CREATE INDEX entered_count_unit ON entered_count (counter, unit, starts_ms, valid_from_ms, n);
CREATE TRIGGER entered_count_no_update BEFORE UPDATE ON entered_count BEGIN
  SELECT RAISE(ABORT, 'entered_count is append-only: enter the corrected figure instead');
END;
CREATE TRIGGER entered_count_no_delete BEFORE DELETE ON entered_count BEGIN
  SELECT RAISE(ABORT, 'entered_count is append-only: enter the corrected figure instead');
END;

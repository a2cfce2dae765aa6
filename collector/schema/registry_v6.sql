-- registry.db, version 6: tokens of the API. The token itself is shown once and never stored: `hash` is its SHA-256.
CREATE TABLE api_token (
  id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, label TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('technician', 'operator', 'official', 'auditor')), scope TEXT NOT NULL,
  created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, revoked_ms INTEGER, last_used_ms INTEGER
) STRICT, WITHOUT ROWID;

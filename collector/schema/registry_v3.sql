-- registry.db, version 3: identities. Claims (tokens as hashes only), certificates, record keys by epoch, alarms, and
-- the signed notes that say each of it, which `receive` takes over into the ledger and so into the log.
CREATE TABLE claim (
  token_sha256 TEXT PRIMARY KEY, probe TEXT NOT NULL, site TEXT NOT NULL REFERENCES site, simulated INTEGER NOT NULL,
  made_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, actor TEXT NOT NULL,
  armed_until_ms INTEGER, armed_by TEXT, used_ms INTEGER, record_key TEXT, tls_key_sha256 TEXT, void_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX claim_probe ON claim (probe);
CREATE TABLE certificate (
  serial TEXT PRIMARY KEY, subject TEXT NOT NULL, purpose TEXT NOT NULL CHECK (purpose IN ('probe', 'server', 'issuing')),
  key_sha256 TEXT NOT NULL, not_before_ms INTEGER NOT NULL, not_after_ms INTEGER NOT NULL, issued_ms INTEGER NOT NULL,
  revoked_ms INTEGER, pem TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX certificate_subject ON certificate (subject, issued_ms);
CREATE TABLE probe_key (
  probe TEXT NOT NULL, from_epoch INTEGER NOT NULL, vkey TEXT NOT NULL, recorded_ms INTEGER NOT NULL,
  PRIMARY KEY (probe, from_epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE note (
  n INTEGER PRIMARY KEY, type TEXT NOT NULL, raw BLOB NOT NULL, recorded_ms INTEGER NOT NULL
) STRICT;
CREATE TRIGGER note_stays BEFORE DELETE ON note BEGIN SELECT raise(ABORT, 'notes are evidence and stay'); END;
-- Refused attempts at an identity, and signs of a copied one. The same attempt again raises `times`.
CREATE TABLE alarm (
  n INTEGER PRIMARY KEY, kind TEXT NOT NULL, probe TEXT NOT NULL, address TEXT NOT NULL, detail TEXT NOT NULL,
  first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, times INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX alarm_same ON alarm (kind, probe, address, detail);

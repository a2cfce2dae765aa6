-- ledger.db, version 1: the system of record. Only `receive` writes it. Times are UTC milliseconds.
-- The dictionary that compressed bytes need lives beside them, so that they can be read as long as the file exists.
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

-- Authentic records. standing: 0 in its place of the chain, 1 second of a fork, 2 without a readable place
-- (its seq is filled in when a later record's `prev` shows it). place of the probe as the registry said at commit.
CREATE TABLE record (
  n INTEGER PRIMARY KEY,
  part INTEGER NOT NULL,
  probe TEXT NOT NULL,
  epoch INTEGER,
  seq INTEGER,
  standing INTEGER NOT NULL,
  leaf BLOB NOT NULL,
  prev TEXT,
  received_ms INTEGER NOT NULL,
  kind TEXT,
  boot TEXT,
  mono_ms INTEGER,
  t_ms INTEGER,
  fault TEXT,
  fault_detail TEXT,
  province TEXT NOT NULL DEFAULT '',
  commune TEXT NOT NULL DEFAULT '',
  hamlet TEXT NOT NULL DEFAULT '',
  modem TEXT,
  plmn TEXT NOT NULL DEFAULT '',
  slot_ms INTEGER,
  counted INTEGER NOT NULL DEFAULT 0,
  not_counted TEXT NOT NULL DEFAULT '',
  outcome TEXT,
  invalid_path INTEGER NOT NULL DEFAULT 0,
  covered INTEGER NOT NULL DEFAULT 0,
  degraded INTEGER NOT NULL DEFAULT 0,
  no_service INTEGER NOT NULL DEFAULT 0,
  unknown INTEGER NOT NULL DEFAULT 0,
  raw BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX record_identity ON record (probe, epoch, seq) WHERE standing = 0;
CREATE UNIQUE INDEX record_aside ON record (probe, leaf) WHERE standing > 0;
CREATE UNIQUE INDEX record_slot ON record (probe, modem, slot_ms) WHERE counted = 1;
CREATE INDEX record_undated ON record (probe, boot) WHERE t_ms IS NULL AND kind IS NOT NULL;
CREATE INDEX record_hamlet ON record (hamlet, n);
CREATE INDEX record_commune ON record (commune, n);
CREATE INDEX record_t ON record (t_ms);

-- How far each epoch of each probe is held without a hole. `fork_seq`: the first fork seen; counting stops there.
CREATE TABLE chain (
  probe TEXT NOT NULL, epoch INTEGER NOT NULL, upto INTEGER, head BLOB, fork_seq INTEGER, max_seq INTEGER,
  PRIMARY KEY (probe, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE gap (
  probe TEXT NOT NULL, epoch INTEGER NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL,
  last_leaf BLOB NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (probe, epoch, from_seq, to_seq)
) STRICT, WITHOUT ROWID;
-- One row a probe: what the lists of the fleet show. Liveness comes from the status topic and is never evidence.
CREATE TABLE probe (
  id TEXT PRIMARY KEY, records INTEGER NOT NULL DEFAULT 0, last_received_ms INTEGER, last_t_ms INTEGER,
  last_kind TEXT, status TEXT, status_ms INTEGER
) STRICT, WITHOUT ROWID;
-- What dated a boot's undated records: monotonic to wall clock, as the probe's signed event says.
CREATE TABLE clock (
  probe TEXT NOT NULL, boot TEXT NOT NULL, mono_ms INTEGER NOT NULL, t_ms INTEGER NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (probe, boot)
) STRICT, WITHOUT ROWID;
-- Records that changed after they were stored (dated, or found out of chain): forward sends them again.
CREATE TABLE redo (n INTEGER PRIMARY KEY, record INTEGER NOT NULL, part INTEGER NOT NULL) STRICT;

-- Every PUBLISH that reached us and what became of the records in it.
CREATE TABLE delivery (
  n INTEGER PRIMARY KEY, received_ms INTEGER NOT NULL, topic TEXT NOT NULL, probe TEXT,
  bytes INTEGER NOT NULL, accepted INTEGER NOT NULL, duplicate INTEGER NOT NULL, refused INTEGER NOT NULL
) STRICT;
CREATE TABLE refusal (
  n INTEGER PRIMARY KEY, delivery INTEGER NOT NULL, received_ms INTEGER NOT NULL, topic TEXT NOT NULL, probe TEXT,
  reason TEXT NOT NULL, detail TEXT NOT NULL, size INTEGER NOT NULL, raw BLOB
) STRICT;
CREATE TABLE total (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- Sums of `record` by hamlet, operator and hour of t_ms, kept in the same transaction.
CREATE TABLE hour (
  hamlet TEXT NOT NULL, plmn TEXT NOT NULL, hour_ms INTEGER NOT NULL,
  tests INTEGER NOT NULL, ok INTEGER NOT NULL, partial INTEGER NOT NULL, failed INTEGER NOT NULL,
  skipped INTEGER NOT NULL, counted INTEGER NOT NULL, invalid_path INTEGER NOT NULL,
  covered INTEGER NOT NULL, degraded INTEGER NOT NULL, no_service INTEGER NOT NULL, unknown INTEGER NOT NULL,
  last_received_ms INTEGER NOT NULL, last_t_ms INTEGER NOT NULL,
  PRIMARY KEY (hamlet, plmn, hour_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX hour_ms ON hour (hour_ms);

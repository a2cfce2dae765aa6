-- ledger.db, version 6: raw bytes lie in blocks of up to 64 records, and every word of a row once, in `word`. What was
-- table `record` is the view `record` for whoever reads; its rows are `entry`. `block` has the bytes of the records with
-- the numbers first_n, first_n + 1, ... (collector/blocks.py); they are moved there after this file, in its transaction.
ALTER TABLE record RENAME TO record_v5;
DROP INDEX record_undated;
DROP INDEX record_hamlet;
DROP INDEX record_commune;
DROP INDEX record_t;
CREATE TABLE block (first_n INTEGER PRIMARY KEY, packed BLOB NOT NULL, signatures BLOB NOT NULL) STRICT;
CREATE TRIGGER block_stays BEFORE DELETE ON block BEGIN
  SELECT raise(ABORT, 'records are evidence and stay');
END;
CREATE TRIGGER block_is_final BEFORE UPDATE ON block BEGIN
  SELECT raise(ABORT, 'records are evidence and never change');
END;
-- Codes, ids and reasons that rows repeat; they never change and never go.
CREATE TABLE word (k INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO word VALUES (1, '');
-- One authentic record. probe, boot, fault, province to plmn and not_counted are words. kind and outcome: see the view.
-- prev: 1 for the leaf of the record one seq before, else that leaf's 32 bytes, else the text that stands there.
-- steps: how many of a coverage record are covered, degraded, without service, unknown; a byte each, from the lowest.
-- standing: 0 in its place of the chain, 1 second of a fork, 2 without a readable place.
CREATE TABLE entry (
  n INTEGER PRIMARY KEY,
  part INTEGER NOT NULL,
  probe INTEGER NOT NULL,
  epoch INTEGER,
  seq INTEGER,
  standing INTEGER NOT NULL,
  leaf BLOB NOT NULL,
  prev ANY,
  received_ms INTEGER NOT NULL,
  kind INTEGER,
  boot INTEGER,
  t_ms INTEGER,
  fault INTEGER,
  fault_detail TEXT,
  province INTEGER NOT NULL,
  commune INTEGER NOT NULL,
  hamlet INTEGER NOT NULL,
  modem INTEGER,
  plmn INTEGER NOT NULL,
  slot_ms INTEGER,
  counted INTEGER NOT NULL,
  not_counted INTEGER NOT NULL,
  outcome INTEGER,
  invalid_path INTEGER NOT NULL,
  steps INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX entry_identity ON entry (probe, epoch, seq) WHERE standing = 0;
CREATE UNIQUE INDEX entry_aside ON entry (probe, leaf) WHERE standing > 0;
CREATE UNIQUE INDEX entry_slot ON entry (probe, modem, slot_ms) WHERE counted = 1;
CREATE INDEX entry_undated ON entry (probe, boot) WHERE t_ms IS NULL AND kind IS NOT NULL;
CREATE INDEX entry_hamlet ON entry (hamlet);
CREATE INDEX entry_commune ON entry (commune);
CREATE INDEX entry_t ON entry (t_ms);
-- What a reader sees. A word that is asked for is looked up first, and then the rows that have it by their index.
CREATE VIEW record AS SELECT
  e.n, e.part, probe.text AS probe, e.epoch, e.seq, e.standing, e.leaf, e.received_ms,
  CASE e.kind WHEN 1 THEN 'test' WHEN 2 THEN 'coverage' WHEN 3 THEN 'boot' WHEN 4 THEN 'event' WHEN 5 THEN 'gap' END
    AS kind,
  boot.text AS boot, e.t_ms, fault.text AS fault, e.fault_detail,
  province.text AS province, commune.text AS commune, hamlet.text AS hamlet, modem.text AS modem, plmn.text AS plmn,
  e.slot_ms, e.counted, reasons.text AS not_counted,
  CASE e.outcome WHEN 1 THEN 'ok' WHEN 2 THEN 'partial' WHEN 3 THEN 'failed' WHEN 4 THEN 'skipped' END AS outcome,
  e.invalid_path, e.steps & 255 AS covered, e.steps >> 8 & 255 AS degraded, e.steps >> 16 & 255 AS no_service,
  e.steps >> 24 & 255 AS unknown
FROM entry e
  LEFT JOIN word probe ON probe.k = e.probe
  LEFT JOIN word boot ON boot.k = e.boot
  LEFT JOIN word fault ON fault.k = e.fault
  LEFT JOIN word province ON province.k = e.province
  LEFT JOIN word commune ON commune.k = e.commune
  LEFT JOIN word hamlet ON hamlet.k = e.hamlet
  LEFT JOIN word modem ON modem.k = e.modem
  LEFT JOIN word plmn ON plmn.k = e.plmn
  LEFT JOIN word reasons ON reasons.k = e.not_counted;
-- A packed day is about as long as a quarter of a page: in a table WITHOUT ROWID it would take a page of its own beside
-- the key. So the rows lie by number here, and the key is an index of them.
ALTER TABLE rollup_day RENAME TO rollup_day_v5;
CREATE TABLE rollup_day (
  day_ms INTEGER NOT NULL, province TEXT NOT NULL, commune TEXT NOT NULL, hamlet TEXT NOT NULL, plmn TEXT NOT NULL,
  tests INTEGER NOT NULL, ok INTEGER NOT NULL, partial INTEGER NOT NULL, failed INTEGER NOT NULL,
  skipped INTEGER NOT NULL, counted INTEGER NOT NULL, invalid_path INTEGER NOT NULL,
  covered INTEGER NOT NULL, degraded INTEGER NOT NULL, no_service INTEGER NOT NULL, unknown INTEGER NOT NULL,
  coverages INTEGER NOT NULL, downlink_bytes INTEGER NOT NULL, uplink_bytes INTEGER NOT NULL, offline_ms INTEGER NOT NULL,
  last_received_ms INTEGER NOT NULL, last_t_ms INTEGER NOT NULL, hours BLOB NOT NULL,
  PRIMARY KEY (day_ms, province, commune, hamlet, plmn)
) STRICT;
INSERT INTO rollup_day SELECT * FROM rollup_day_v5 ORDER BY day_ms, province, commune, hamlet, plmn;
DROP TABLE rollup_day_v5;

-- registry.db, version 4: units with names that change, hamlets that merge, SIMs, campaigns, limits; everything dated.
-- Dated tables are append-only: the row with the latest valid_from_ms not after a moment holds, of two equal ones the
-- later recorded. Times are UTC ms; `source` says which paper or person said so, NULL if nobody wrote it down.

-- Assignments anew: a probe may be planned before it has a key, and taken away (site NULL); so may a code (unit NULL).
CREATE TABLE probe_site_v3 (
  n INTEGER PRIMARY KEY, probe TEXT NOT NULL, site TEXT REFERENCES site,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
INSERT INTO probe_site_v3 SELECT n, probe, site, valid_from_ms, recorded_ms, NULL FROM probe_site;
DROP TABLE probe_site;
ALTER TABLE probe_site_v3 RENAME TO probe_site;
CREATE INDEX probe_site_probe ON probe_site (probe, valid_from_ms, n);
CREATE TABLE referral_v3 (
  n INTEGER PRIMARY KEY, code TEXT NOT NULL, unit TEXT,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
INSERT INTO referral_v3 SELECT n, code, unit, valid_from_ms, recorded_ms, NULL FROM referral;
DROP TABLE referral;
ALTER TABLE referral_v3 RENAME TO referral;
CREATE INDEX referral_code ON referral (code, valid_from_ms, n);

-- Provinces and communes: code stays, name and type change. `area_ha` NULL: not known.
ALTER TABLE commune ADD COLUMN area_ha INTEGER;
CREATE TABLE unit_name (
  n INTEGER PRIMARY KEY, code TEXT NOT NULL, name TEXT NOT NULL,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX unit_name_code ON unit_name (code, valid_from_ms, n);
INSERT INTO unit_name (code, name, valid_from_ms, recorded_ms) SELECT code, name, 0, 0 FROM province;
INSERT INTO unit_name (code, name, valid_from_ms, recorded_ms) SELECT code, name, 0, 0 FROM commune;
-- Units before 1 July 2025, three levels, and the communes of today that each old commune went to (is_main: most of it).
CREATE TABLE old_unit (code TEXT PRIMARY KEY, name TEXT NOT NULL, parent TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE old_successor (
  old TEXT NOT NULL REFERENCES old_unit, new TEXT NOT NULL, is_main INTEGER NOT NULL, PRIMARY KEY (old, new)
) STRICT, WITHOUT ROWID;
CREATE INDEX old_successor_new ON old_successor (new);

-- Hamlets: what they are called and which commune they belong to, by date; and how they ended.
CREATE TABLE hamlet_name (
  n INTEGER PRIMARY KEY, hamlet TEXT NOT NULL REFERENCES hamlet, name TEXT NOT NULL, kind TEXT NOT NULL,
  commune TEXT NOT NULL REFERENCES commune,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX hamlet_name_hamlet ON hamlet_name (hamlet, valid_from_ms, n);
INSERT INTO hamlet_name (hamlet, name, kind, commune, valid_from_ms, recorded_ms)
  SELECT code, name, kind, commune, 0, 0 FROM hamlet;
CREATE TABLE hamlet_end (
  n INTEGER PRIMARY KEY, hamlet TEXT NOT NULL REFERENCES hamlet,
  how TEXT NOT NULL CHECK (how IN ('merged', 'split', 'ended', 'reopened')),
  successors TEXT NOT NULL, -- their codes, a space between them; empty for 'ended' and 'reopened'
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX hamlet_end_hamlet ON hamlet_end (hamlet, valid_from_ms, n);

-- Sites: the hamlet they are in by date; where they lie as surveyed; the photo's file is named by its SHA-256.
CREATE TABLE site_hamlet (
  n INTEGER PRIMARY KEY, site TEXT NOT NULL REFERENCES site, hamlet TEXT NOT NULL REFERENCES hamlet,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX site_hamlet_site ON site_hamlet (site, valid_from_ms, n);
INSERT INTO site_hamlet (site, hamlet, valid_from_ms, recorded_ms) SELECT code, hamlet, 0, 0 FROM site;
CREATE TABLE site_survey (
  n INTEGER PRIMARY KEY, site TEXT NOT NULL REFERENCES site, lat_e7 INTEGER NOT NULL, lon_e7 INTEGER NOT NULL,
  how TEXT NOT NULL CHECK (how IN ('gnss', 'phone', 'map', 'typed')), accuracy_m INTEGER,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX site_survey_site ON site_survey (site, valid_from_ms, n);
CREATE TABLE site_photo (
  n INTEGER PRIMARY KEY, site TEXT NOT NULL REFERENCES site, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX site_photo_site ON site_photo (site, valid_from_ms, n);

-- SIMs: never the ICCID itself, only its HMAC under the deployment's secret and its last four digits.
CREATE TABLE sim (
  code TEXT PRIMARY KEY, iccid_hmac TEXT UNIQUE, iccid_last4 TEXT, plmn TEXT NOT NULL, brand TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE sim_plan (
  n INTEGER PRIMARY KEY, sim TEXT NOT NULL REFERENCES sim, plan TEXT, cap_bytes INTEGER, billing_day INTEGER,
  vnd_month INTEGER, valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX sim_plan_sim ON sim_plan (sim, valid_from_ms, n);
CREATE TABLE sim_modem (
  n INTEGER PRIMARY KEY, sim TEXT NOT NULL REFERENCES sim, probe TEXT, modem TEXT,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX sim_modem_sim ON sim_modem (sim, valid_from_ms, n);

-- Operators: i-Speed's name for them, if it differs. Price plans of data: dated, with where the price was read.
ALTER TABLE operator ADD COLUMN ispeed_name TEXT;
CREATE TABLE tariff (
  n INTEGER PRIMARY KEY, code TEXT NOT NULL, plmn TEXT NOT NULL, name TEXT NOT NULL, cap_bytes INTEGER NOT NULL,
  days INTEGER NOT NULL, vnd INTEGER NOT NULL, valid_to_ms INTEGER,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX tariff_code ON tariff (code, valid_from_ms, n);

-- Campaigns: which counter satisfies them, what they ask of whom, and when which report is due to whom.
CREATE TABLE campaign (
  code TEXT PRIMARY KEY, name TEXT NOT NULL, document TEXT NOT NULL,
  counter TEXT NOT NULL CHECK (counter IN ('portal', 'ours', 'people')), starts_ms INTEGER NOT NULL, ends_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE campaign_quota (
  n INTEGER PRIMARY KEY, campaign TEXT NOT NULL REFERENCES campaign, line TEXT NOT NULL,
  level TEXT NOT NULL CHECK (level IN ('country', 'province', 'commune', 'hamlet', 'bodies')), unit TEXT,
  what TEXT NOT NULL CHECK (what IN ('samples', 'people')),
  minimum INTEGER NOT NULL, relation TEXT NOT NULL CHECK (relation IN ('>=', '>')),
  period TEXT NOT NULL CHECK (period IN ('day', 'week', 'month', 'campaign')), valid_to_ms INTEGER,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX campaign_quota_campaign ON campaign_quota (campaign, line, valid_from_ms, n);
CREATE TABLE campaign_report (
  n INTEGER PRIMARY KEY, campaign TEXT NOT NULL REFERENCES campaign, line TEXT NOT NULL,
  level TEXT NOT NULL CHECK (level IN ('country', 'province', 'commune', 'hamlet', 'bodies')),
  period TEXT NOT NULL CHECK (period IN ('day', 'week', 'month', 'month_to_date', 'campaign')),
  due_day INTEGER, due_minute INTEGER NOT NULL, relation TEXT NOT NULL CHECK (relation IN ('before', 'by')),
  recipients TEXT NOT NULL, valid_to_ms INTEGER,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX campaign_report_campaign ON campaign_report (campaign, line, valid_from_ms, n);
-- Limits of regulations, targets of decisions, values that operators declared: value in thousandths of `unit`.
CREATE TABLE limit_value (
  n INTEGER PRIMARY KEY, code TEXT NOT NULL, name TEXT NOT NULL, nature TEXT NOT NULL
    CHECK (nature IN ('regulation', 'target', 'declared', 'draft')),
  relation TEXT NOT NULL CHECK (relation IN ('>=', '>', '<=', '<')), value_x1000 INTEGER NOT NULL, unit TEXT NOT NULL,
  plmn TEXT, valid_to_ms INTEGER, valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX limit_value_code ON limit_value (code, valid_from_ms, n);

-- What changed, in order: for whoever keeps sums by place. [from_ms, until_ms) is what must be looked at again;
-- until_ms NULL: until now. A change is back-dated where from_ms < recorded_ms.
CREATE TABLE change (
  n INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, code TEXT NOT NULL,
  from_ms INTEGER NOT NULL, until_ms INTEGER, recorded_ms INTEGER NOT NULL
) STRICT;
CREATE TRIGGER probe_site_changed AFTER INSERT ON probe_site BEGIN
  INSERT INTO change (what, code, from_ms, until_ms, recorded_ms) VALUES ('probe_site', NEW.probe, NEW.valid_from_ms,
    (SELECT min(valid_from_ms) FROM probe_site WHERE probe = NEW.probe AND valid_from_ms > NEW.valid_from_ms),
    NEW.recorded_ms);
END;
CREATE TRIGGER referral_changed AFTER INSERT ON referral BEGIN
  INSERT INTO change (what, code, from_ms, until_ms, recorded_ms) VALUES ('referral', NEW.code, NEW.valid_from_ms,
    (SELECT min(valid_from_ms) FROM referral WHERE code = NEW.code AND valid_from_ms > NEW.valid_from_ms),
    NEW.recorded_ms);
END;
CREATE TRIGGER site_hamlet_changed AFTER INSERT ON site_hamlet
WHEN EXISTS (SELECT 1 FROM site_hamlet WHERE site = NEW.site AND n < NEW.n) BEGIN
  INSERT INTO change (what, code, from_ms, until_ms, recorded_ms) VALUES ('site_hamlet', NEW.site, NEW.valid_from_ms,
    (SELECT min(valid_from_ms) FROM site_hamlet WHERE site = NEW.site AND valid_from_ms > NEW.valid_from_ms),
    NEW.recorded_ms);
END;
CREATE TRIGGER hamlet_name_changed AFTER INSERT ON hamlet_name
WHEN EXISTS (SELECT 1 FROM hamlet_name WHERE hamlet = NEW.hamlet AND n < NEW.n AND commune <> NEW.commune) BEGIN
  INSERT INTO change (what, code, from_ms, until_ms, recorded_ms) VALUES ('hamlet_commune', NEW.hamlet,
    NEW.valid_from_ms,
    (SELECT min(valid_from_ms) FROM hamlet_name WHERE hamlet = NEW.hamlet AND valid_from_ms > NEW.valid_from_ms),
    NEW.recorded_ms);
END;
-- These are not dated: the newest word holds for all time.
CREATE TRIGGER site_moved AFTER UPDATE OF lat_e7, lon_e7 ON site
WHEN OLD.lat_e7 IS NOT NEW.lat_e7 OR OLD.lon_e7 IS NOT NEW.lon_e7 BEGIN
  INSERT INTO change (what, code, from_ms, until_ms, recorded_ms) VALUES ('site_position', NEW.code, 0, NULL,
    CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER));
END;
CREATE TRIGGER probe_judged AFTER UPDATE OF state, simulated ON probe
WHEN OLD.simulated <> NEW.simulated OR (OLD.state = 'quarantine') <> (NEW.state = 'quarantine') BEGIN
  INSERT INTO change (what, code, from_ms, until_ms, recorded_ms) VALUES ('probe', NEW.id, 0, NULL,
    CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER));
END;
CREATE TRIGGER commune_province AFTER UPDATE OF province ON commune WHEN OLD.province <> NEW.province BEGIN
  INSERT INTO change (what, code, from_ms, until_ms, recorded_ms) VALUES ('commune_province', NEW.code, 0, NULL,
    CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER));
END;

-- Nothing dated is ever changed or taken away: a later row beats an earlier one.
CREATE TRIGGER probe_site_no_update BEFORE UPDATE ON probe_site BEGIN
  SELECT RAISE(ABORT, 'probe_site is append-only: append a row with the right date instead');
END;
CREATE TRIGGER probe_site_no_delete BEFORE DELETE ON probe_site BEGIN
  SELECT RAISE(ABORT, 'probe_site is append-only: append a row with the right date instead');
END;
CREATE TRIGGER referral_no_update BEFORE UPDATE ON referral BEGIN
  SELECT RAISE(ABORT, 'referral is append-only: append a row with the right date instead');
END;
CREATE TRIGGER referral_no_delete BEFORE DELETE ON referral BEGIN
  SELECT RAISE(ABORT, 'referral is append-only: append a row with the right date instead');
END;
CREATE TRIGGER unit_name_no_update BEFORE UPDATE ON unit_name BEGIN
  SELECT RAISE(ABORT, 'unit_name is append-only: append a row with the right date instead');
END;
CREATE TRIGGER unit_name_no_delete BEFORE DELETE ON unit_name BEGIN
  SELECT RAISE(ABORT, 'unit_name is append-only: append a row with the right date instead');
END;
CREATE TRIGGER hamlet_name_no_update BEFORE UPDATE ON hamlet_name BEGIN
  SELECT RAISE(ABORT, 'hamlet_name is append-only: append a row with the right date instead');
END;
CREATE TRIGGER hamlet_name_no_delete BEFORE DELETE ON hamlet_name BEGIN
  SELECT RAISE(ABORT, 'hamlet_name is append-only: append a row with the right date instead');
END;
CREATE TRIGGER hamlet_end_no_update BEFORE UPDATE ON hamlet_end BEGIN
  SELECT RAISE(ABORT, 'hamlet_end is append-only: append a row with the right date instead');
END;
CREATE TRIGGER hamlet_end_no_delete BEFORE DELETE ON hamlet_end BEGIN
  SELECT RAISE(ABORT, 'hamlet_end is append-only: append a row with the right date instead');
END;
CREATE TRIGGER site_hamlet_no_update BEFORE UPDATE ON site_hamlet BEGIN
  SELECT RAISE(ABORT, 'site_hamlet is append-only: append a row with the right date instead');
END;
CREATE TRIGGER site_hamlet_no_delete BEFORE DELETE ON site_hamlet BEGIN
  SELECT RAISE(ABORT, 'site_hamlet is append-only: append a row with the right date instead');
END;
CREATE TRIGGER site_survey_no_update BEFORE UPDATE ON site_survey BEGIN
  SELECT RAISE(ABORT, 'site_survey is append-only: append a row with the right date instead');
END;
CREATE TRIGGER site_survey_no_delete BEFORE DELETE ON site_survey BEGIN
  SELECT RAISE(ABORT, 'site_survey is append-only: append a row with the right date instead');
END;
CREATE TRIGGER site_photo_no_update BEFORE UPDATE ON site_photo BEGIN
  SELECT RAISE(ABORT, 'site_photo is append-only: append a row with the right date instead');
END;
CREATE TRIGGER site_photo_no_delete BEFORE DELETE ON site_photo BEGIN
  SELECT RAISE(ABORT, 'site_photo is append-only: append a row with the right date instead');
END;
CREATE TRIGGER sim_plan_no_update BEFORE UPDATE ON sim_plan BEGIN
  SELECT RAISE(ABORT, 'sim_plan is append-only: append a row with the right date instead');
END;
CREATE TRIGGER sim_plan_no_delete BEFORE DELETE ON sim_plan BEGIN
  SELECT RAISE(ABORT, 'sim_plan is append-only: append a row with the right date instead');
END;
CREATE TRIGGER sim_modem_no_update BEFORE UPDATE ON sim_modem BEGIN
  SELECT RAISE(ABORT, 'sim_modem is append-only: append a row with the right date instead');
END;
CREATE TRIGGER sim_modem_no_delete BEFORE DELETE ON sim_modem BEGIN
  SELECT RAISE(ABORT, 'sim_modem is append-only: append a row with the right date instead');
END;
CREATE TRIGGER tariff_no_update BEFORE UPDATE ON tariff BEGIN
  SELECT RAISE(ABORT, 'tariff is append-only: append a row with the right date instead');
END;
CREATE TRIGGER tariff_no_delete BEFORE DELETE ON tariff BEGIN
  SELECT RAISE(ABORT, 'tariff is append-only: append a row with the right date instead');
END;
CREATE TRIGGER campaign_quota_no_update BEFORE UPDATE ON campaign_quota BEGIN
  SELECT RAISE(ABORT, 'campaign_quota is append-only: append a row with the right date instead');
END;
CREATE TRIGGER campaign_quota_no_delete BEFORE DELETE ON campaign_quota BEGIN
  SELECT RAISE(ABORT, 'campaign_quota is append-only: append a row with the right date instead');
END;
CREATE TRIGGER campaign_report_no_update BEFORE UPDATE ON campaign_report BEGIN
  SELECT RAISE(ABORT, 'campaign_report is append-only: append a row with the right date instead');
END;
CREATE TRIGGER campaign_report_no_delete BEFORE DELETE ON campaign_report BEGIN
  SELECT RAISE(ABORT, 'campaign_report is append-only: append a row with the right date instead');
END;
CREATE TRIGGER limit_value_no_update BEFORE UPDATE ON limit_value BEGIN
  SELECT RAISE(ABORT, 'limit_value is append-only: append a row with the right date instead');
END;
CREATE TRIGGER limit_value_no_delete BEFORE DELETE ON limit_value BEGIN
  SELECT RAISE(ABORT, 'limit_value is append-only: append a row with the right date instead');
END;
CREATE TRIGGER change_no_update BEFORE UPDATE ON change BEGIN
  SELECT RAISE(ABORT, 'change is append-only: append a row with the right date instead');
END;
CREATE TRIGGER change_no_delete BEFORE DELETE ON change BEGIN
  SELECT RAISE(ABORT, 'change is append-only: append a row with the right date instead');
END;

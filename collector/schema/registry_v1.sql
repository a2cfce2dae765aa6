-- registry.db, version 1: who may send, where they stand, what units are called. Written by provisioning and web.
-- Assignments (probe to site, referral code to unit) are never updated: a later row beats an earlier one.
CREATE TABLE province (code TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE commune (
  code TEXT PRIMARY KEY, name TEXT NOT NULL, province TEXT NOT NULL REFERENCES province,
  lat_e7 INTEGER, lon_e7 INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE hamlet (
  code TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, commune TEXT NOT NULL REFERENCES commune,
  lat_e7 INTEGER, lon_e7 INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX hamlet_commune ON hamlet (commune);
CREATE TABLE site (
  code TEXT PRIMARY KEY, hamlet TEXT NOT NULL REFERENCES hamlet, name TEXT NOT NULL, lat_e7 INTEGER, lon_e7 INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE probe (
  id TEXT PRIMARY KEY, vkey TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('active', 'revoked', 'quarantine')),
  revoked_ms INTEGER, simulated INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE probe_site (
  n INTEGER PRIMARY KEY, probe TEXT NOT NULL REFERENCES probe, site TEXT NOT NULL REFERENCES site,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX probe_site_probe ON probe_site (probe, valid_from_ms, n);
CREATE TABLE referral (
  n INTEGER PRIMARY KEY, code TEXT NOT NULL, unit TEXT NOT NULL,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX referral_code ON referral (code, valid_from_ms, n);
CREATE TABLE operator (plmn TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE quota (
  commune TEXT PRIMARY KEY REFERENCES commune, minimum INTEGER NOT NULL, rule TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE user (
  name TEXT PRIMARY KEY, argon2 TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('technician', 'operator', 'official', 'auditor')), scope TEXT NOT NULL
) STRICT, WITHOUT ROWID;

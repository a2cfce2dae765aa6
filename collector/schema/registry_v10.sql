-- registry.db, version 10: telecom companies log in (the scope of role 'company' is the PLMN of its network), and wishes
-- may ask for slots of a probe's signed configuration, and for the note of a decision that two people made.
CREATE TABLE user_10 (
  name TEXT PRIMARY KEY, argon2 TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('technician', 'operator', 'official', 'auditor', 'company')), scope TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO user_10 SELECT name, argon2, role, scope FROM user;
DROP TABLE user;
ALTER TABLE user_10 RENAME TO user;
CREATE TABLE wish_10 (
  n INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL CHECK (kind IN ('confirm', 'acceptance', 'slots', 'review')), probe TEXT NOT NULL,
  actor TEXT NOT NULL, body TEXT NOT NULL, asked_ms INTEGER NOT NULL, done_ms INTEGER, leaf TEXT, refused TEXT
) STRICT;
INSERT INTO wish_10 SELECT n, kind, probe, actor, body, asked_ms, done_ms, leaf, refused FROM wish;
DROP TRIGGER wish_stays;
DROP TABLE wish;
ALTER TABLE wish_10 RENAME TO wish;
CREATE INDEX wish_probe ON wish (probe, n);
CREATE INDEX wish_waiting ON wish (n) WHERE done_ms IS NULL;
CREATE TRIGGER wish_stays BEFORE DELETE ON wish BEGIN SELECT RAISE(ABORT, 'wishes and acceptances stay'); END;
CREATE TRIGGER wish_is_settled_once BEFORE UPDATE ON wish
WHEN OLD.done_ms IS NOT NULL OR NEW.body <> OLD.body OR NEW.actor <> OLD.actor OR NEW.probe <> OLD.probe BEGIN
  SELECT RAISE(ABORT, 'a wish is carried out once, as it was asked');
END;

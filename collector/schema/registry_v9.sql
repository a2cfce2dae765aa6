-- registry.db, version 9: what logins ask the registry's key to sign. The web writes a wish, the authority carries it out.
CREATE TABLE wish (
  n INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL CHECK (kind IN ('confirm', 'acceptance')), probe TEXT NOT NULL,
  actor TEXT NOT NULL, body TEXT NOT NULL, asked_ms INTEGER NOT NULL, done_ms INTEGER, leaf TEXT, refused TEXT
) STRICT;
CREATE INDEX wish_probe ON wish (probe, n);
CREATE INDEX wish_waiting ON wish (n) WHERE done_ms IS NULL;
CREATE TRIGGER wish_stays BEFORE DELETE ON wish BEGIN SELECT RAISE(ABORT, 'wishes and acceptances stay'); END;
CREATE TRIGGER wish_is_settled_once BEFORE UPDATE ON wish
WHEN OLD.done_ms IS NOT NULL OR NEW.body <> OLD.body OR NEW.actor <> OLD.actor OR NEW.probe <> OLD.probe BEGIN
  SELECT RAISE(ABORT, 'a wish is carried out once, as it was asked');
END;

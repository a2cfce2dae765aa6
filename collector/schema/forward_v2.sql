-- forward.db, version 2: hours whose points `test_1h`, `test_1d` are to be written again (`hours`: bit n for hour n of the
-- local day), put down with the cursor, so that no end of the process forgets them; and when counts were last compared.
CREATE TABLE touched (
  day_ms INTEGER NOT NULL, province TEXT NOT NULL, commune TEXT NOT NULL, hamlet TEXT NOT NULL, plmn TEXT NOT NULL,
  hours INTEGER NOT NULL, PRIMARY KEY (day_ms, province, commune, hamlet, plmn)
) STRICT, WITHOUT ROWID;
CREATE TABLE note (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- What is in the ledger before this version has no such points yet: everything is written again, harmlessly.
DELETE FROM cursor;

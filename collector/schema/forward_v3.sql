-- forward.db, version 3: points of whole units and of whole days' tests that are to be written again, put down with the
-- rollup points, so that no end of the process forgets them. span: day, month, tests (of a day).
-- anew: something was taken away there (a probe moved), so what is there is deleted first.
CREATE TABLE due (
  span TEXT NOT NULL, start_ms INTEGER NOT NULL, province TEXT NOT NULL, anew INTEGER NOT NULL,
  PRIMARY KEY (span, start_ms, province)
) STRICT, WITHOUT ROWID;
-- What is in the ledger before this version has no `referral_1d` and `fleet_1h` yet: everything is written again, harmlessly.
DELETE FROM cursor;

-- ledger.db, version 4: every other signed note that is a leaf of the log (SPEC §6): enrolments, keys, revocations,
-- assignments, places, acceptances, configurations, reviews, rules, statements. `subject`: the probe or code it is about.
CREATE TABLE note (
  n INTEGER PRIMARY KEY, leaf BLOB NOT NULL UNIQUE, type TEXT NOT NULL, signer TEXT NOT NULL, subject TEXT NOT NULL,
  signed_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL, raw BLOB NOT NULL
) STRICT;
CREATE INDEX note_subject ON note (subject, n);
CREATE TRIGGER note_stays BEFORE DELETE ON note BEGIN
  SELECT raise(ABORT, 'notes are evidence and stay');
END;
CREATE TRIGGER note_is_final BEFORE UPDATE ON note BEGIN
  SELECT raise(ABORT, 'notes are evidence and never change');
END;

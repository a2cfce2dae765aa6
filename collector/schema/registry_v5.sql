-- registry.db, version 5: counts that people read elsewhere (i-Speed's Portal) or took (people who installed), and holidays.
-- Append-only: the row with the latest valid_from_ms (when the figure was read) holds for its counter, unit and period.
CREATE TABLE entered_count (
  n INTEGER PRIMARY KEY, counter TEXT NOT NULL CHECK (counter IN ('portal', 'people')), unit TEXT NOT NULL,
  starts_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL, value INTEGER NOT NULL CHECK (value >= 0),
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX entered_count_unit ON entered_count (counter, unit, starts_ms, valid_from_ms, n);
CREATE TABLE holiday (
  n INTEGER PRIMARY KEY, day TEXT NOT NULL, name TEXT NOT NULL, is_off INTEGER NOT NULL,
  valid_from_ms INTEGER NOT NULL, recorded_ms INTEGER NOT NULL, source TEXT
) STRICT;
CREATE INDEX holiday_day ON holiday (day, valid_from_ms, n);
CREATE TRIGGER entered_count_no_update BEFORE UPDATE ON entered_count BEGIN
  SELECT RAISE(ABORT, 'entered_count is append-only: enter the corrected figure instead');
END;
CREATE TRIGGER entered_count_no_delete BEFORE DELETE ON entered_count BEGIN
  SELECT RAISE(ABORT, 'entered_count is append-only: enter the corrected figure instead');
END;
CREATE TRIGGER holiday_no_update BEFORE UPDATE ON holiday BEGIN
  SELECT RAISE(ABORT, 'holiday is append-only: append a row with the right date instead');
END;
CREATE TRIGGER holiday_no_delete BEFORE DELETE ON holiday BEGIN
  SELECT RAISE(ABORT, 'holiday is append-only: append a row with the right date instead');
END;

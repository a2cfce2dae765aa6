-- seal.db, version 5: what `receive` lets go by age is no harm. `oldest_ms`: when the oldest row of a stretch came that may
-- go; NULL: none may. `let_go`: some row of it may be gone by the rules, so it is compared no more, whatever the settings
-- or the clock say later. Of stretches seen before this version the age is not known.
ALTER TABLE watch ADD COLUMN oldest_ms INTEGER;
ALTER TABLE watch ADD COLUMN let_go INTEGER NOT NULL DEFAULT 0;
UPDATE watch SET let_go = 1 WHERE view IN ('idle', 'refused');
CREATE INDEX watch_kept ON watch (view, gen, first_n) WHERE let_go = 0;

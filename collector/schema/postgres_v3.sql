-- The ledger in PostgreSQL, version 3: the registry of several machines. Every row that changed at its source, whole and
-- in order, appended for ever; and which registry is the source, with its newest line.
CREATE TABLE registry_line (n bigint PRIMARY KEY, name text NOT NULL, key text NOT NULL, body text);
CREATE INDEX registry_line_row ON registry_line (name, key, n);
CREATE TABLE registry_source (one bigint PRIMARY KEY CHECK (one = 1), id text NOT NULL, line bigint NOT NULL);
CREATE TRIGGER registry_line_stays BEFORE UPDATE OR DELETE ON registry_line FOR EACH ROW EXECUTE FUNCTION evidence_stays();
CREATE TRIGGER registry_line_is_whole BEFORE TRUNCATE ON registry_line EXECUTE FUNCTION evidence_stays();

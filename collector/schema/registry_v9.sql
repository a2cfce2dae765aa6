-- registry.db, version 9: telecom companies log in. The scope of role 'company' is the PLMN of its network.
CREATE TABLE user_9 (
  name TEXT PRIMARY KEY, argon2 TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('technician', 'operator', 'official', 'auditor', 'company')), scope TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO user_9 SELECT name, argon2, role, scope FROM user;
DROP TABLE user;
ALTER TABLE user_9 RENAME TO user;

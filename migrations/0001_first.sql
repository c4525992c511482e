-- Times are wall-clock microseconds since 1970. Paths and names are bytes.
-- *_batch columns hold the running number of the ingest transaction: unlike a clock it only goes
-- up, so "was this name known while the session ran" has one answer for ever.

CREATE TABLE state (
  one          INTEGER PRIMARY KEY CHECK (one = 1),
  batch        INTEGER NOT NULL,
  batch_us     INTEGER NOT NULL,
  last_session INTEGER NOT NULL,
  last_file    INTEGER NOT NULL
) STRICT;
INSERT INTO state VALUES (1, 0, 0, 0, 0);

CREATE TABLE root (
  id   INTEGER PRIMARY KEY,
  path BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE recording (
  id         INTEGER PRIMARY KEY,
  root_id    INTEGER NOT NULL REFERENCES root (id),
  label      TEXT,
  clients    TEXT NOT NULL,
  tier       TEXT NOT NULL,
  started_us INTEGER NOT NULL,
  stopped_us INTEGER
) STRICT;

CREATE TABLE client (
  id      INTEGER PRIMARY KEY,
  address TEXT NOT NULL UNIQUE
) STRICT;

-- What an NFSv4 client called itself, to tell a reboot from a remount after a restart of ours.
CREATE TABLE identity (
  address    TEXT NOT NULL,
  owner_name BLOB NOT NULL,
  verifier   TEXT NOT NULL,
  PRIMARY KEY (address, owner_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
  id           INTEGER PRIMARY KEY,
  recording_id INTEGER NOT NULL REFERENCES recording (id),
  client_id    INTEGER NOT NULL REFERENCES client (id),
  tier         TEXT NOT NULL,
  evidence     TEXT NOT NULL,
  detail       TEXT,
  partial      INTEGER NOT NULL,
  opened_us    INTEGER NOT NULL,
  last_us      INTEGER NOT NULL,
  closed_us    INTEGER,
  close_reason TEXT,
  opened_batch INTEGER NOT NULL,
  closed_batch INTEGER
) STRICT;
CREATE INDEX session_open ON session (id) WHERE closed_us IS NULL;

-- As first seen; a row never changes.
CREATE TABLE file (
  id          INTEGER PRIMARY KEY,
  root_id     INTEGER NOT NULL REFERENCES root (id),
  handle_type INTEGER,
  handle      BLOB,
  dev         INTEGER NOT NULL,
  inode       INTEGER NOT NULL,
  generation  INTEGER,
  mode        INTEGER NOT NULL,
  uid         INTEGER NOT NULL,
  gid         INTEGER NOT NULL,
  size        INTEGER NOT NULL,
  mtime_ns    INTEGER NOT NULL,
  nlink       INTEGER NOT NULL,
  UNIQUE (root_id, handle_type, handle)
) STRICT;

-- until_batch is the last batch in which the name was true; NULL = still is.
CREATE TABLE name (
  file_id     INTEGER NOT NULL REFERENCES file (id),
  path        BLOB NOT NULL,
  since_batch INTEGER NOT NULL,
  until_batch INTEGER,
  PRIMARY KEY (file_id, path, since_batch)
) STRICT, WITHOUT ROWID;

CREATE TABLE access (
  session_id  INTEGER NOT NULL REFERENCES session (id),
  file_id     INTEGER NOT NULL REFERENCES file (id),
  operations  INTEGER NOT NULL,
  count       INTEGER NOT NULL,
  bytes       INTEGER NOT NULL,
  first_us    INTEGER NOT NULL,
  last_us     INTEGER NOT NULL,
  first_order INTEGER NOT NULL,
  evidence    INTEGER NOT NULL,
  created     INTEGER NOT NULL,
  first_batch INTEGER NOT NULL,
  last_batch  INTEGER NOT NULL,
  PRIMARY KEY (session_id, file_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE mark (
  id         INTEGER PRIMARY KEY,
  session_id INTEGER NOT NULL REFERENCES session (id),
  at_us      INTEGER NOT NULL,
  text       TEXT NOT NULL
) STRICT;
CREATE INDEX mark_session ON mark (session_id);

-- A loss of a whole recording is one row without a session, and one row (origin_id) for each
-- session that was open meanwhile.
CREATE TABLE loss (
  id           INTEGER PRIMARY KEY,
  recording_id INTEGER REFERENCES recording (id),
  session_id   INTEGER REFERENCES session (id),
  origin_id    INTEGER REFERENCES loss (id),
  place        TEXT NOT NULL,
  count        INTEGER NOT NULL,
  from_us      INTEGER NOT NULL,
  to_us        INTEGER NOT NULL,
  detail       TEXT
) STRICT;
CREATE INDEX loss_session ON loss (session_id);

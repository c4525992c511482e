-- Names that a session looked for and that were not there (tier exact+names).
CREATE TABLE missing_lookup (
  session_id   INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
  directory_id INTEGER NOT NULL REFERENCES file (id),
  name         BLOB NOT NULL,
  count        INTEGER NOT NULL,
  first_us     INTEGER NOT NULL,
  last_us      INTEGER NOT NULL,
  PRIMARY KEY (session_id, directory_id, name)
) STRICT, WITHOUT ROWID;

-- How many distinct names a session has, and how many lookups were not kept: clients choose names.
CREATE TABLE missing_total (
  session_id INTEGER PRIMARY KEY REFERENCES session (id) ON DELETE CASCADE,
  names      INTEGER NOT NULL,
  dropped    INTEGER NOT NULL
) STRICT;

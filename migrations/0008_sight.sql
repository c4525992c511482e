-- A file as it was when a later session first used it, if that is not what was known already. A session saw the row with the highest since_batch up to its access's first_batch, or the
-- first sight in `file`.
CREATE TABLE sight (
  file_id     INTEGER NOT NULL REFERENCES file (id),
  since_batch INTEGER NOT NULL,
  mode        INTEGER NOT NULL,
  uid         INTEGER NOT NULL,
  gid         INTEGER NOT NULL,
  size        INTEGER NOT NULL,
  mtime_ns    INTEGER NOT NULL,
  nlink       INTEGER NOT NULL,
  ctime_ns    INTEGER NOT NULL,
  target      BLOB,
  PRIMARY KEY (file_id, since_batch)
) STRICT, WITHOUT ROWID;

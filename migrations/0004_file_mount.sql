-- A root can hold several file systems, and a handle is an identity within one only: the top
-- directory of every ext4 has the same. `mount` is the path from the root at which the file's file
-- system is mounted, empty for the root's own. Foreign keys are off while this runs.
CREATE TABLE file_by_mount (
  id          INTEGER PRIMARY KEY,
  root_id     INTEGER NOT NULL REFERENCES root (id),
  mount       BLOB NOT NULL DEFAULT x'',
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
  UNIQUE (root_id, mount, handle_type, handle)
) STRICT;
INSERT INTO file_by_mount (id, root_id, handle_type, handle, dev, inode, generation, mode, uid, gid,
    size, mtime_ns, nlink)
  SELECT id, root_id, handle_type, handle, dev, inode, generation, mode, uid, gid, size, mtime_ns,
    nlink
  FROM file;
DROP TABLE file;
ALTER TABLE file_by_mount RENAME TO file;

-- What an image of the root may be read through: file systems below it that were recorded with it.
CREATE TABLE mount (
  root_id INTEGER NOT NULL REFERENCES root (id),
  path    BLOB NOT NULL,
  PRIMARY KEY (root_id, path)
) STRICT, WITHOUT ROWID;

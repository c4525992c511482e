-- What a person calls a client, and the name that its address has (reverse lookup).
ALTER TABLE client ADD COLUMN label TEXT;
ALTER TABLE client ADD COLUMN name TEXT;
CREATE UNIQUE INDEX client_label ON client (label) WHERE label IS NOT NULL;

-- Oldest first is the order in which identities are forgotten.
ALTER TABLE identity ADD COLUMN seen_batch INTEGER NOT NULL DEFAULT 0;

-- Boot evidence that waits for a client's first access; root_id NULL = each root not in spent.
CREATE TABLE pending_boot (
  client   TEXT NOT NULL,
  root_id  INTEGER REFERENCES root (id),
  evidence TEXT NOT NULL,
  detail   TEXT,
  partial  INTEGER NOT NULL,
  at_us    INTEGER NOT NULL,
  spent    TEXT NOT NULL
) STRICT;
CREATE INDEX pending_boot_client ON pending_boot (client);

-- What a person should know of a session.
CREATE TABLE session_note (
  session_id INTEGER NOT NULL REFERENCES session (id) ON DELETE CASCADE,
  kind       TEXT NOT NULL,
  at_us      INTEGER NOT NULL,
  count      INTEGER NOT NULL,
  detail     TEXT NOT NULL,
  PRIMARY KEY (session_id, kind)
) STRICT, WITHOUT ROWID;

-- 1: a loss of clients that have no session. It is nobody else's.
ALTER TABLE loss ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;

-- The server's boot, and wall clock minus CLOCK_MONOTONIC then: a clock that was stepped while
-- nothing was recorded is noticed.
ALTER TABLE state ADD COLUMN boot_id TEXT;
ALTER TABLE state ADD COLUMN clock_us INTEGER;

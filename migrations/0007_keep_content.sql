-- 1: when a session of the recording ends, the content that its image needs is kept.
ALTER TABLE recording ADD COLUMN keep_content INTEGER NOT NULL DEFAULT 0;

-- More of a file at its first sight: when it last changed in any way, and where a link led. NULL
-- for what was first seen before this was kept, and for what had gone before it could be looked at.
ALTER TABLE file ADD COLUMN ctime_ns INTEGER;
ALTER TABLE file ADD COLUMN target BLOB;

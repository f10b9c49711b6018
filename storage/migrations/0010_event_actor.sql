-- Who caused an event. 'system' for all of them until access control exists.
ALTER TABLE events ADD COLUMN actor TEXT NOT NULL DEFAULT 'system';

-- How many of the known runs a sweep should find in the list.
ALTER TABLE sweeps ADD COLUMN expected INTEGER NOT NULL DEFAULT 0;

-- What of the request budget is used, as the worker writes it down.
ALTER TABLE orgs ADD COLUMN budget TEXT;

-- A row is found without going through all of them, however many wait: the next by its kind, and those that are parked.
CREATE INDEX outbox_by_kind ON outbox (kind, due_at, id);
CREATE INDEX outbox_parked ON outbox (parked_at) WHERE parked_at IS NOT NULL;

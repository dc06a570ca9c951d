-- What was decided, in the order of the turns: ids 1, 2, 3, … without gaps. canary is its id, detail a JSON object, prior
-- the hash of the row before, and hash that of this row.
CREATE TABLE audit (
    id BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    canary TEXT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    prior TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX audit_by_at ON audit (at);

-- One row: the first id that is kept and the hash before it, and the newest id and its hash. With them rows that are
-- cut off at either end are missed.
CREATE TABLE audit_chain (
    only_row BIGINT PRIMARY KEY,
    first BIGINT NOT NULL,
    prior TEXT NOT NULL,
    newest BIGINT NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_chain (only_row, first, prior, newest, hash) VALUES (1, 1, '', 0, '');

-- One row. Writers take turns by changing it; seq numbers their transactions in the order of their commits.
CREATE TABLE turn (only_row BIGINT PRIMARY KEY, seq BIGINT NOT NULL);
INSERT INTO turn (only_row, seq) VALUES (1, 0);

-- A canary and its rollout, as JSON of the given format; seq is the turn it was last changed in.
CREATE TABLE canary (id TEXT PRIMARY KEY, format BIGINT NOT NULL, state TEXT NOT NULL, seq BIGINT NOT NULL);
CREATE INDEX canary_by_seq ON canary (seq);

-- When each canary was last heard of. Written in batches: it may be a minute behind.
CREATE TABLE heard (canary TEXT PRIMARY KEY, at BIGINT NOT NULL, paces TEXT NOT NULL);

-- What is to be done in Jira, about the ticket of which gate. A row of kind open comes before all others
-- of its gate. sent_at: a request that is not idempotent may be under way since then.
CREATE TABLE outbox (
    id BIGINT PRIMARY KEY,
    canary TEXT NOT NULL,
    gate TEXT NOT NULL,
    kind TEXT NOT NULL,
    command TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    sent_at BIGINT,
    parked_at BIGINT,
    why TEXT
);
CREATE INDEX outbox_by_due ON outbox (due_at);
CREATE INDEX outbox_by_gate ON outbox (gate);

-- Every ticket that was ever opened, by its gate. ended_at: by Jira's clock, when it was told that its rollout is over;
-- answered: a later move of it was answered.
CREATE TABLE ticket (
    gate TEXT PRIMARY KEY,
    canary TEXT NOT NULL,
    name TEXT NOT NULL,
    id TEXT NOT NULL,
    ticket TEXT NOT NULL,
    ended_at BIGINT,
    answered BIGINT NOT NULL
);
CREATE INDEX ticket_by_id ON ticket (id);

-- Tickets that somebody asks to look at, by Jira's issue id.
CREATE TABLE nudge (ticket TEXT PRIMARY KEY, at BIGINT NOT NULL);

-- One row: who works, and until when that holds.
CREATE TABLE lease (only_row BIGINT PRIMARY KEY, holder TEXT NOT NULL, until BIGINT NOT NULL, renewed_at BIGINT NOT NULL);
INSERT INTO lease (only_row, holder, until, renewed_at) VALUES (1, '', 0, 0);

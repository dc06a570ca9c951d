-- read_at: when a ticket whose rollout is over is next read although nobody asks for that; none: not any more. missing_since:
-- when Jira first did not show the ticket, if it has not since. seq: the turn a nudge was stored in.
ALTER TABLE ticket ADD COLUMN read_at BIGINT;
ALTER TABLE ticket ADD COLUMN missing_since BIGINT;
ALTER TABLE nudge ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
CREATE INDEX ticket_by_read_at ON ticket (read_at) WHERE read_at IS NOT NULL;
UPDATE ticket SET read_at = ended_at WHERE ended_at IS NOT NULL AND answered = 0;

-- The Jira that the stored tickets are of, by the address that it says it has.
CREATE TABLE site (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    base_url TEXT NOT NULL
);

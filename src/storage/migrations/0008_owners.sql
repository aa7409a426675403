-- What owners see and decide: how conversations ended, who may do what, and who did what.

-- A visit: what a shopper wrote in one go, and what came of it. One chat has many, and none of them holds words.
-- first_answer_ms: from the first message to the first words of an answer. last_reply: none, answered, asked (for proof),
-- declined, handed_over. good, bad: ratings. next_at: when the same shopper came back.
CREATE TABLE visits (
    id {id},
    conversation_id BIGINT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    language TEXT NOT NULL,
    began_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    first_answer_ms BIGINT,
    last_reply TEXT NOT NULL DEFAULT 'none',
    answered BIGINT NOT NULL DEFAULT 0,
    declined BIGINT NOT NULL DEFAULT 0,
    handed_over BIGINT NOT NULL DEFAULT 0,
    thanked BIGINT NOT NULL DEFAULT 0,
    good BIGINT NOT NULL DEFAULT 0,
    bad BIGINT NOT NULL DEFAULT 0,
    next_at BIGINT
);
CREATE INDEX visits_by_beginning ON visits (began_at);
CREATE INDEX visits_by_conversation ON visits (conversation_id, id);

-- What shoppers asked about, counted by day (days since 1970 in UTC).
CREATE TABLE asked_topics (
    day BIGINT NOT NULL,
    channel TEXT NOT NULL,
    language TEXT NOT NULL,
    intent TEXT NOT NULL,
    asked BIGINT NOT NULL,
    declined BIGINT NOT NULL,
    PRIMARY KEY (day, channel, language, intent)
);

-- deactivated_at: since when somebody may not log in.
ALTER TABLE users ADD COLUMN deactivated_at BIGINT;
-- user_id: whose session it is.
ALTER TABLE sessions ADD COLUMN user_id BIGINT;
CREATE INDEX sessions_by_user ON sessions (user_id);

-- Links by which somebody sets a new password once; only the digest of the token is kept.
CREATE TABLE password_links (
    user_id BIGINT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    digest TEXT NOT NULL UNIQUE,
    expires_at BIGINT NOT NULL
);

-- Who did what. actor_id: where they work and their number there; NULL where nobody is known by that name. subject: what
-- it was done to, as a reference; no words of shoppers.
CREATE TABLE audit_log (
    id {id},
    at BIGINT NOT NULL,
    actor_id TEXT,
    actor_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL
);
CREATE INDEX audit_log_by_time ON audit_log (at, id);
CREATE INDEX audit_log_by_actor ON audit_log (actor_id, at);
CREATE INDEX audit_log_by_kind ON audit_log (kind, at);

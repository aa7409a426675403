-- The staff's inbox: whose a conversation is, until when it rests, its tags, how far each person has read, ready answers,
-- and the words that are searched.

-- assignee_id: the colleague who looks after it. snoozed_until: it rests until then, and wants a person from then on.
-- last_*: the bot's latest turn, the confidence in thousandths. turn_noted: 0 until a conversation that is older than these
-- columns has been read for them.
ALTER TABLE conversations ADD COLUMN assignee_id BIGINT;
ALTER TABLE conversations ADD COLUMN snoozed_until BIGINT;
ALTER TABLE conversations ADD COLUMN verified_customer TEXT;
ALTER TABLE conversations ADD COLUMN last_intent TEXT;
ALTER TABLE conversations ADD COLUMN last_confidence BIGINT;
ALTER TABLE conversations ADD COLUMN last_declined BIGINT NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN turn_noted BIGINT NOT NULL DEFAULT 0;
CREATE INDEX conversations_by_customer ON conversations (verified_customer, updated_at);
CREATE INDEX conversations_by_intent ON conversations (last_intent);

CREATE TABLE conversation_tags (
    conversation_id BIGINT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (conversation_id, tag)
);
CREATE INDEX conversation_tags_by_tag ON conversation_tags (tag);

-- How far somebody has read, and when they had it open last.
CREATE TABLE conversation_reads (
    conversation_id BIGINT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    message_id BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
);

CREATE TABLE canned_replies (
    id {id},
    name TEXT NOT NULL UNIQUE,
    text TEXT NOT NULL
);

-- The words of each message in lower case and without what decided a turn, so that a search reads few pages.
CREATE TABLE message_texts (
    message_id BIGINT PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    conversation_id BIGINT NOT NULL,
    folded TEXT NOT NULL
);
CREATE INDEX message_texts_by_conversation ON message_texts (conversation_id, message_id);
INSERT INTO message_texts (message_id, conversation_id, folded) SELECT id, conversation_id, LOWER(text) FROM messages;

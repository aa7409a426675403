-- What a shopper's tap said of a message (1 good, 0 not), and what came with the shopper's words.

ALTER TABLE messages ADD COLUMN rating BIGINT;

-- kind: photo, voice, document and so on. file_id: by which the channel gives the bytes.
CREATE TABLE attachments (
    id {id},
    message_id BIGINT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    file_id TEXT NOT NULL,
    mime TEXT,
    name TEXT,
    size BIGINT
);
CREATE INDEX attachments_by_message ON attachments (message_id);

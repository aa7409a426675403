-- People who take over: since when a conversation is in its state, who of the staff has it, the topics of a staff group,
-- and documents that merchants send.

-- holder_json: who of the staff has it. wish_left_at: a wish for a person that nobody has met yet.
ALTER TABLE conversations ADD COLUMN state_since BIGINT;
ALTER TABLE conversations ADD COLUMN holder_json TEXT;
ALTER TABLE conversations ADD COLUMN wish_left_at BIGINT;
-- author may also be note. staff_id: who of the staff wrote it.
ALTER TABLE messages ADD COLUMN staff_id TEXT;

-- Waits for a person that ended with one.
CREATE TABLE waits (
    id {id},
    began_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL
);

-- One topic of the staff group a conversation. mirrored: the last message of the transcript that the topic shows, so that
-- the transcript itself is the queue of what has to be shown.
CREATE TABLE staff_topics (
    conversation_id BIGINT PRIMARY KEY REFERENCES conversations (id) ON DELETE CASCADE,
    staff_group BIGINT NOT NULL,
    topic BIGINT NOT NULL,
    is_open BIGINT NOT NULL,
    mirrored BIGINT NOT NULL,
    UNIQUE (staff_group, topic)
);

-- Words to staff that are in no transcript, until they are sent.
CREATE TABLE staff_posts (
    id {id},
    staff_group BIGINT NOT NULL,
    topic BIGINT NOT NULL,
    text TEXT NOT NULL
);

-- Updates of staff and merchants whose effect is in the database.
CREATE TABLE staff_updates (
    update_key TEXT PRIMARY KEY,
    at BIGINT NOT NULL
);

-- state: pending, read (imported or refused, the merchant has to be told), told, undo (asked for), undone, failed.
CREATE TABLE merchant_files (
    id {id},
    chat BIGINT NOT NULL,
    language TEXT NOT NULL,
    file_id TEXT NOT NULL,
    name TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    answer TEXT NOT NULL,
    document_version BIGINT,
    received_at BIGINT NOT NULL
);
CREATE INDEX merchant_files_by_state ON merchant_files (state, id);

-- What a merchant's file took the place of.
CREATE TABLE replaced_documents (
    file BIGINT PRIMARY KEY REFERENCES merchant_files (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    title TEXT,
    language TEXT NOT NULL,
    checksum TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    notes_json TEXT NOT NULL,
    imported_at BIGINT NOT NULL
);
CREATE TABLE replaced_chunks (
    file BIGINT NOT NULL REFERENCES merchant_files (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    chunk_json TEXT NOT NULL,
    encoder TEXT NOT NULL,
    embedding {bytes} NOT NULL,
    parts {bytes}
);
CREATE INDEX replaced_chunks_by_file ON replaced_chunks (file, ordinal);

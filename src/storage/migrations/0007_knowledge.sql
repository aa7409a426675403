-- What merchants and staff do about the bot's knowledge.

-- valid_until: from then on the document is not quoted. expired: that has come, and is part of the knowledge's version.
ALTER TABLE documents ADD COLUMN valid_until BIGINT;
ALTER TABLE documents ADD COLUMN expired BIGINT NOT NULL DEFAULT 0;

-- Documents that are not quoted. state: draft (read, not published yet), version (what a document was before).
CREATE TABLE kept_documents (
    id {id},
    state TEXT NOT NULL,
    name TEXT NOT NULL,
    title TEXT,
    language TEXT NOT NULL,
    checksum TEXT NOT NULL,
    version BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    notes_json TEXT NOT NULL,
    imported_at BIGINT NOT NULL
);
CREATE INDEX kept_documents_by_name ON kept_documents (name, state, id);
CREATE TABLE kept_chunks (
    kept BIGINT NOT NULL REFERENCES kept_documents (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    ordinal BIGINT NOT NULL,
    chunk_json TEXT NOT NULL,
    encoder TEXT NOT NULL,
    embedding {bytes} NOT NULL,
    parts {bytes}
);
CREATE INDEX kept_chunks_by_document ON kept_chunks (kept, ordinal);

-- Answers that staff wrote. state: proposed, live, rejected, withdrawn. message_id: the reply that was wrong.
-- check_right: 1 when the question, asked again at checked_at, was answered so, 0 when it was not.
CREATE TABLE staff_answers (
    id {id},
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    language TEXT NOT NULL,
    state TEXT NOT NULL,
    message_id BIGINT REFERENCES messages (id) ON DELETE SET NULL,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    decided_by TEXT,
    decided_at BIGINT,
    checked_at BIGINT,
    check_right BIGINT,
    check_reply TEXT
);
CREATE INDEX staff_answers_by_state ON staff_answers (state, id);
CREATE INDEX staff_answers_by_message ON staff_answers (message_id);

-- Replies of the bot that staff called wrong.
CREATE TABLE wrong_replies (
    message_id BIGINT PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    author TEXT NOT NULL,
    at BIGINT NOT NULL
);

-- Questions, masked, that staff called none of the shop's.
CREATE TABLE dismissed_questions (
    id {id},
    question TEXT NOT NULL,
    language TEXT NOT NULL,
    author TEXT NOT NULL,
    at BIGINT NOT NULL,
    UNIQUE (question, language)
);

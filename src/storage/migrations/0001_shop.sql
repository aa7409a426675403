-- One schema for SQLite and Postgres: {id} and {bytes} are the only words that differ (see storage.rs).
-- Times are milliseconds since 1970 in UTC; columns that end in _json hold JSON.

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Knowledge -----------------------------------------------------------------------------------------------------------

CREATE TABLE documents (
    id {id},
    name TEXT NOT NULL UNIQUE,
    title TEXT,
    language TEXT NOT NULL,
    checksum TEXT NOT NULL,
    version BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    notes_json TEXT NOT NULL,
    imported_at BIGINT NOT NULL
);

CREATE TABLE chunks (
    id TEXT PRIMARY KEY,
    document_id BIGINT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    ordinal BIGINT NOT NULL,
    chunk_json TEXT NOT NULL,
    encoder TEXT NOT NULL,
    embedding {bytes} NOT NULL
);
CREATE INDEX chunks_by_document ON chunks (document_id, ordinal);

-- Records -------------------------------------------------------------------------------------------------------------

CREATE TABLE products (
    sku TEXT PRIMARY KEY,
    record_json TEXT NOT NULL,
    encoder TEXT NOT NULL,
    embedding {bytes} NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE orders (
    order_id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL,
    placed_at TEXT NOT NULL,
    record_json TEXT NOT NULL
);
CREATE INDEX orders_by_customer ON orders (customer_id, placed_at);

CREATE TABLE reviews (
    id TEXT PRIMARY KEY,
    sku TEXT NOT NULL,
    rating BIGINT NOT NULL,
    text TEXT NOT NULL,
    date TEXT NOT NULL,
    author TEXT NOT NULL
);
CREATE INDEX reviews_by_product ON reviews (sku);

CREATE TABLE events (
    id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL,
    sku TEXT NOT NULL,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX events_by_customer ON events (customer_id, at);

-- Conversations -------------------------------------------------------------------------------------------------------

CREATE TABLE conversations (
    id {id},
    channel TEXT NOT NULL,
    chat TEXT NOT NULL,
    state TEXT NOT NULL,
    language TEXT NOT NULL,
    customer TEXT,
    memory_json TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (channel, chat)
);
CREATE INDEX conversations_by_update ON conversations (updated_at);
CREATE INDEX conversations_by_state ON conversations (state, updated_at);

-- The transcript. author: shopper, bot, staff, system. reply_json: what decided a bot's turn.
CREATE TABLE messages (
    id {id},
    conversation_id BIGINT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    author TEXT NOT NULL,
    author_name TEXT,
    text TEXT NOT NULL,
    reply_json TEXT,
    at BIGINT NOT NULL
);
CREATE INDEX messages_by_conversation ON messages (conversation_id, id);

-- state: pending, done, failed. message_id: the shopper's message in the transcript, once done.
CREATE TABLE inbox (
    id {id},
    channel TEXT NOT NULL,
    chat TEXT NOT NULL,
    update_id TEXT NOT NULL,
    inbound_json TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    error TEXT,
    message_id BIGINT,
    received_at BIGINT NOT NULL,
    UNIQUE (channel, chat, update_id)
);
CREATE INDEX inbox_by_state ON inbox (state, id);

-- state: pending, sent, failed.
CREATE TABLE outbox (
    id {id},
    channel TEXT NOT NULL,
    chat TEXT NOT NULL,
    message_id BIGINT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    error TEXT
);
CREATE INDEX outbox_by_state ON outbox (channel, state, id);

-- Tries to prove that an order is one's own, counted per order so that a new chat brings no new tries.
CREATE TABLE verification_failures (
    order_id TEXT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX verification_failures_by_order ON verification_failures (order_id, at);

-- People --------------------------------------------------------------------------------------------------------------

CREATE TABLE users (
    id {id},
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    record_json TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

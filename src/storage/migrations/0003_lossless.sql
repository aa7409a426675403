-- Work that is shared by several processes: who works what, and until when that holds (see storage/inbox.rs).

-- sequence: the channel's own order of the updates of a chat, where it has one.
ALTER TABLE inbox ADD COLUMN sequence BIGINT NOT NULL DEFAULT 0;
ALTER TABLE inbox ADD COLUMN worker TEXT;
ALTER TABLE inbox ADD COLUMN leased_until BIGINT NOT NULL DEFAULT 0;
CREATE INDEX inbox_waiting ON inbox (channel, chat, sequence, id) WHERE state = 'pending';

-- noted_at: when not_before was set, so that a clock which was put back makes no reply wait for a day.
ALTER TABLE outbox ADD COLUMN noted_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX outbox_waiting ON outbox (channel, chat, id) WHERE state = 'pending';

-- Work that one process at a time does, such as sending the replies of a bot.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    worker TEXT NOT NULL,
    leased_until BIGINT NOT NULL
);

-- Updates that could not be read, as they came. source: the bot that got it. state: failed, pending (to be read again).
CREATE TABLE unread_updates (
    id {id},
    channel TEXT NOT NULL,
    source TEXT NOT NULL,
    update_key TEXT NOT NULL,
    raw TEXT NOT NULL,
    error TEXT NOT NULL,
    state TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    UNIQUE (channel, source, update_key)
);

-- Questions that merchants keep and try before they publish. expects: answer or decline; document: the one that is to be
-- quoted, when it matters which.
CREATE TABLE kept_questions (
    id {id},
    question TEXT NOT NULL UNIQUE,
    expects TEXT NOT NULL,
    document TEXT,
    author TEXT NOT NULL,
    at BIGINT NOT NULL
);

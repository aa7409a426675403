-- Files of products that were read and not applied yet. file_json: what was read; whole: products that are not in the file
-- leave the catalogue.
CREATE TABLE catalogue_imports (
    id {id},
    name TEXT NOT NULL,
    file_json TEXT NOT NULL,
    whole BIGINT NOT NULL,
    author TEXT NOT NULL,
    at BIGINT NOT NULL
);

-- Vectors of the parts of a passage, eight bits a number; NULL until the passage is embedded anew.

ALTER TABLE chunks ADD COLUMN parts {bytes};

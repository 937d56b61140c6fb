-- Who is named in which ceremony, so that people find those they are invited to and nobody else reaches one. The
-- ceremony itself lives in its object.
CREATE TABLE ceremony_seats (
  ceremony_id  TEXT NOT NULL CHECK (length(ceremony_id) = 32),
  owner_pubkey TEXT NOT NULL CHECK (length(owner_pubkey) = 64),
  -- The account that started it, which may have so many open.
  started_by   TEXT NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
  -- When nothing of it can be left.
  ends_at_ms   REAL NOT NULL,
  PRIMARY KEY (ceremony_id, owner_pubkey)
) STRICT;
CREATE INDEX ceremony_seats_by_owner ON ceremony_seats (owner_pubkey, ends_at_ms);
CREATE INDEX ceremony_seats_by_starter ON ceremony_seats (started_by, ends_at_ms);

-- Sessions that people can tell apart, passkeys and their challenges.
-- Times are unix milliseconds as REAL, as in 0001.

-- What the device called itself at sign-in.
ALTER TABLE sessions ADD COLUMN device TEXT;
-- Sign-in, and then each refresh.
ALTER TABLE sessions ADD COLUMN last_used_at_ms REAL NOT NULL DEFAULT 0;
-- When the person last showed a password or a passkey in this session.
ALTER TABLE sessions ADD COLUMN authenticated_at_ms REAL NOT NULL DEFAULT 0;
UPDATE sessions SET last_used_at_ms = created_at_ms, authenticated_at_ms = created_at_ms;

CREATE TABLE passkeys (
  passkey_id      TEXT NOT NULL PRIMARY KEY CHECK (length(passkey_id) = 32),
  account_id      TEXT NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
  credential_id   TEXT NOT NULL UNIQUE,
  public_key      TEXT NOT NULL,
  sign_count      REAL NOT NULL,
  label           TEXT NOT NULL,
  owner_blob      TEXT,
  created_at_ms   REAL NOT NULL,
  last_used_at_ms REAL
) STRICT;
CREATE INDEX passkeys_by_account ON passkeys (account_id, created_at_ms);

-- A challenge is 256 random bits and used up by the first answer that names it.
-- account_id: whose new passkey it is for; NULL for one that signs in.
CREATE TABLE passkey_challenges (
  challenge     TEXT NOT NULL PRIMARY KEY CHECK (length(challenge) = 43),
  account_id    TEXT REFERENCES accounts (account_id) ON DELETE CASCADE,
  expires_at_ms REAL NOT NULL
) STRICT;
CREATE INDEX passkey_challenges_by_expiry ON passkey_challenges (expires_at_ms);

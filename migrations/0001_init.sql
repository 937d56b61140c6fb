-- Accounts, sessions, refresh tokens and ownership of groups.
-- Never a share, a nonce, a password or a token in clear.
-- Times are unix milliseconds as REAL: exact to 2^53, and the only number type D1 binds at that size.

CREATE TABLE accounts (
  account_id    TEXT NOT NULL PRIMARY KEY CHECK (length(account_id) = 32),
  username      TEXT NOT NULL UNIQUE CHECK (length(username) BETWEEN 3 AND 32),
  password_hash TEXT NOT NULL,
  owner_pubkey  TEXT NOT NULL UNIQUE CHECK (length(owner_pubkey) = 64),
  owner_blob    TEXT,
  kdf           TEXT,
  created_at_ms REAL NOT NULL
) STRICT;

-- A session is a family of refresh tokens.
CREATE TABLE sessions (
  session_id    TEXT NOT NULL PRIMARY KEY CHECK (length(session_id) = 32),
  account_id    TEXT NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
  created_at_ms REAL NOT NULL,
  revoked_at_ms REAL
) STRICT;
CREATE INDEX sessions_by_account ON sessions (account_id);

CREATE TABLE refresh_tokens (
  token_mac     TEXT NOT NULL PRIMARY KEY CHECK (length(token_mac) = 64),
  session_id    TEXT NOT NULL REFERENCES sessions (session_id) ON DELETE CASCADE,
  expires_at_ms REAL NOT NULL,
  rotated_at_ms REAL
) STRICT;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session_id);

CREATE TABLE keys (
  group_id      TEXT NOT NULL PRIMARY KEY CHECK (length(group_id) = 32),
  account_id    TEXT NOT NULL REFERENCES accounts (account_id),
  pubkey        TEXT NOT NULL CHECK (length(pubkey) = 64),
  label         TEXT NOT NULL,
  statement_id  TEXT NOT NULL CHECK (length(statement_id) = 64),
  status        TEXT NOT NULL CHECK (status IN ('creating', 'active')),
  created_at_ms REAL NOT NULL
) STRICT;
CREATE INDEX keys_by_account ON keys (account_id, created_at_ms);

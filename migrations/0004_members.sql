-- Who beside the owner holds a share of a key that people share, so that they find it and can answer its apps. The
-- group's bunker object says who they are and asks for this list to be written.
CREATE TABLE key_members (
  group_id     TEXT NOT NULL REFERENCES keys (group_id) ON DELETE CASCADE,
  owner_pubkey TEXT NOT NULL CHECK (length(owner_pubkey) = 64),
  PRIMARY KEY (group_id, owner_pubkey)
) STRICT;
CREATE INDEX key_members_by_owner ON key_members (owner_pubkey);

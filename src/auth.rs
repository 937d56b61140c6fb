//! Who is calling: accounts, passwords, access tokens and refresh tokens.
//!
//! A token only decides who may *deliver* an owner statement; what a holder does is decided by the
//! owner's signature on it. Everything here is decided by pure functions over rows that
//! [`crate::storage`] reads and writes.

pub mod access_token;
pub mod caller;
pub mod kdf;
pub mod keys;
pub mod password;
pub mod refresh;
pub mod sessions;
pub mod username;

pub use access_token::{AccessClaims, AccessTokens};
pub use caller::Caller;
pub use keys::AuthKeys;

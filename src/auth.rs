//! Who is calling: accounts, passwords, passkeys, access tokens and refresh tokens, and how often one may try.
//!
//! A token only decides who may *deliver* an owner statement; what a holder does is decided by the
//! owner's signature on it. Everything here is decided by pure functions over rows that
//! [`crate::storage`] reads and writes.

pub mod access_token;
pub mod address;
pub mod caller;
pub mod credentials;
pub mod device_token;
pub mod guard;
pub mod kdf;
pub mod keys;
pub mod passkeys;
pub mod password;
pub mod recovery;
pub mod refresh;
pub mod sessions;
pub mod sign_in;
pub mod username;
pub mod webauthn;

pub use access_token::{AccessClaims, AccessTokens};
pub use caller::{Caller, RecentCaller};
pub use keys::AuthKeys;

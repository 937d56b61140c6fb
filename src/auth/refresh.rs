//! Refresh tokens: single use, rotated, and what each state of one means when it comes back.
//!
//! A token is 256 random bits. Only its MAC is stored. Its successor is derived from the token
//! itself, so that a client which lost the answer and asks again within [`RETRY_WINDOW_MS`] gets
//! the same bytes, and the server needs to keep no plaintext for that. A token that comes back
//! later, or after its successor was used, is in two hands: its whole family is revoked.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::{Zeroize, Zeroizing};

use super::keys::{AuthKeys, mac};

/// How long a refresh token waits to be used, in milliseconds.
pub const REFRESH_TOKEN_LIFETIME_MS: u64 = 7 * 24 * 3600 * 1000;
/// How long a session may be refreshed before the person has to sign in again, in milliseconds.
pub const SESSION_LIFETIME_MS: u64 = 90 * 24 * 3600 * 1000;
/// How long a repeated use is taken for a lost answer, in milliseconds.
pub const RETRY_WINDOW_MS: u64 = 10_000;

/// Tells the token's type at sight, so that it can't be taken for another kind.
const PREFIX: &str = "prt_";

/// A refresh token in clear. Exists in requests and answers only.
pub struct RefreshToken(Zeroizing<[u8; 32]>);

impl RefreshToken {
    /// From fresh random bytes.
    pub fn from_random(mut bytes: [u8; 32]) -> Self {
        let token = Self(Zeroizing::new(bytes));
        bytes.zeroize();
        token
    }

    /// Whether this text says it is a refresh token, valid or not.
    pub fn is_one(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Parses the one form of a token.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// The text for the client, which is as secret as the token.
    pub fn expose_text(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(*self.0))
    }

    /// What is stored for it.
    pub fn stored_mac(&self, keys: &AuthKeys) -> String {
        hex::encode(mac(&keys.refresh_mac, &[&*self.0]))
    }

    /// The token that replaces it; always the same one.
    #[must_use]
    pub fn successor(&self, keys: &AuthKeys) -> Self {
        Self::from_random(mac(&keys.refresh_successor, &[&*self.0]))
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(<redacted>)")
    }
}

/// What is stored about one refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshRecord {
    /// MAC of the token, hex.
    pub mac: String,
    /// The family it belongs to.
    pub session: String,
    /// When it stops being good, unix milliseconds.
    pub expires_at_ms: u64,
    /// When it was exchanged for its successor, unix milliseconds.
    pub rotated_at_ms: Option<u64>,
}

/// What is stored about one session (a family of refresh tokens).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// 32 hex digits.
    pub session: String,
    /// Account id, 32 hex digits.
    pub account: String,
    /// What the device called itself.
    pub device: Option<String>,
    /// Sign-in, unix milliseconds.
    pub created_at_ms: u64,
    /// Sign-in or the last refresh, unix milliseconds.
    pub last_used_at_ms: u64,
    /// When the person last showed a password or a passkey, unix milliseconds.
    pub authenticated_at_ms: u64,
    /// Logout, reuse, or nothing yet; unix milliseconds.
    pub revoked_at_ms: Option<u64>,
}

impl SessionRecord {
    /// Whether it still stands for its account.
    pub fn is_live(&self, now_ms: u64) -> bool {
        self.revoked_at_ms.is_none() && now_ms < self.created_at_ms.saturating_add(SESSION_LIFETIME_MS)
    }
}

/// What to do with a refresh token that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// First use: exchange it.
    Rotate,
    /// The answer was lost: give it again as it was at that time.
    Repeat {
        /// When it was exchanged, unix milliseconds.
        rotated_at_ms: u64,
    },
    /// Used twice: revoke the family.
    Reused,
    /// Expired, or its session is over.
    Dead,
}

/// Decides over a stored token, its session, and its successor if that is stored.
pub fn judge(
    token: &RefreshRecord,
    session: &SessionRecord,
    successor: Option<&RefreshRecord>,
    now_ms: u64,
) -> Verdict {
    if !session.is_live(now_ms) || now_ms >= token.expires_at_ms {
        return Verdict::Dead;
    }
    let Some(rotated_at_ms) = token.rotated_at_ms else {
        return Verdict::Rotate;
    };
    let successor_used = successor.is_some_and(|next| next.rotated_at_ms.is_some());
    let in_time = now_ms < rotated_at_ms.saturating_add(RETRY_WINDOW_MS);
    if in_time && !successor_used { Verdict::Repeat { rotated_at_ms } } else { Verdict::Reused }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0_MS: u64 = 1_800_000_000_000;

    fn token(rotated_at_ms: Option<u64>) -> RefreshRecord {
        RefreshRecord {
            mac: String::new(),
            session: String::new(),
            expires_at_ms: T0_MS + REFRESH_TOKEN_LIFETIME_MS,
            rotated_at_ms,
        }
    }

    fn session() -> SessionRecord {
        SessionRecord {
            session: String::new(),
            account: String::new(),
            device: None,
            created_at_ms: T0_MS,
            last_used_at_ms: T0_MS,
            authenticated_at_ms: T0_MS,
            revoked_at_ms: None,
        }
    }

    #[test]
    fn a_fresh_token_is_exchanged_once() {
        assert_eq!(judge(&token(None), &session(), None, T0_MS), Verdict::Rotate);
    }

    #[test]
    fn a_retry_is_answered_for_ten_seconds_and_then_taken_for_theft() {
        let used = token(Some(T0_MS));
        let next = token(None);
        let at = |now_ms| judge(&used, &session(), Some(&next), now_ms);
        let repeat = Verdict::Repeat { rotated_at_ms: T0_MS };
        assert_eq!(at(T0_MS), repeat);
        assert_eq!(at(T0_MS + RETRY_WINDOW_MS - 1), repeat);
        assert_eq!(at(T0_MS + RETRY_WINDOW_MS), Verdict::Reused);
    }

    #[test]
    fn an_old_token_is_reuse_as_soon_as_its_successor_was_used() {
        let used = token(Some(T0_MS));
        let next = token(Some(T0_MS + 1));
        assert_eq!(judge(&used, &session(), Some(&next), T0_MS + 2), Verdict::Reused);
    }

    #[test]
    fn expired_tokens_and_tokens_of_ended_sessions_are_dead() {
        let late_ms = T0_MS + REFRESH_TOKEN_LIFETIME_MS;
        assert_eq!(judge(&token(None), &session(), None, late_ms), Verdict::Dead);
        let mut over = session();
        over.revoked_at_ms = Some(T0_MS);
        assert_eq!(judge(&token(None), &over, None, T0_MS), Verdict::Dead);
        let mut old = session();
        old.created_at_ms = T0_MS - SESSION_LIFETIME_MS;
        assert_eq!(judge(&token(None), &old, None, T0_MS), Verdict::Dead);
    }

    #[test]
    fn only_the_one_form_of_a_token_is_read() {
        let token = RefreshToken::from_random([5; 32]);
        let text = token.expose_text();
        assert_eq!(RefreshToken::parse(&text).unwrap().expose_text(), text);
        let stripped = text.strip_prefix("prt_").unwrap();
        for bad in [stripped, "prt_", &text[..text.len() - 1], &format!("{text}="), &format!("{text}A")] {
            assert!(RefreshToken::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_token_its_successor_and_what_is_stored_tell_nothing_of_each_other() {
        let keys = super::super::keys::for_tests();
        let token = RefreshToken::from_random([5; 32]);
        let next = token.successor(&keys);
        assert_eq!(next.expose_text(), token.successor(&keys).expose_text());
        assert_ne!(next.expose_text(), token.expose_text());
        let raw_next = hex::encode(*next.0);
        assert_ne!(token.stored_mac(&keys), raw_next, "the stored MAC must not be the next token");
        assert_ne!(token.stored_mac(&keys), next.stored_mac(&keys));
    }
}

//! Login secrets and how they are kept: scrypt (RFC 7914) in a PHC-like string.
//!
//! Clients send a secret derived from the password on the device; the server hashes whatever it
//! gets at a cost an isolate can pay (N = 2^14, r = 8, p = 5: 16 MiB). The cost is stored with each
//! hash and upgraded at the next sign-in when it is weaker than today's. Every check costs today's time, also that
//! of an old hash and that for a name that nobody has, so that time does not tell.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use scrypt::{Params, scrypt};
use serde::{Deserialize, Deserializer, de};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Fewest characters of a login secret.
pub const LOGIN_SECRET_MIN_CHARS: usize = 16;
/// Most characters of a login secret; longer ones only cost hashing time.
pub const LOGIN_SECRET_MAX_CHARS: usize = 256;

/// log2 of scrypt's N for new hashes (OWASP's equivalent cost with `p` = 5).
const LOG_N: u8 = 14;
/// scrypt's block size for new hashes.
const R: u32 = 8;
/// scrypt's parallelism for new hashes.
const P: u32 = 5;
/// Most memory a stored hash may ask for, in bytes: half of what an isolate has.
const MEMORY_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Work of a new hash, in blocks (N·r·p).
const WORK_BLOCKS: u64 = PASS_BLOCKS * P as u64;
/// Work of one of its passes.
const PASS_BLOCKS: u64 = (1 << LOG_N) * (R as u64);
/// Most work a stored hash may ask for, in blocks: four times the present cost.
const WORK_MAX_BLOCKS: u64 = 4 * WORK_BLOCKS;

/// What a client sends as its password. Never stored, logged or shown.
pub struct LoginSecret(Zeroizing<String>);

impl LoginSecret {
    /// Takes a secret of 16 to 256 characters.
    pub fn parse(value: String) -> Option<Self> {
        let value = Zeroizing::new(value);
        let length = LOGIN_SECRET_MIN_CHARS..=LOGIN_SECRET_MAX_CHARS;
        length.contains(&value.chars().count()).then_some(Self(value))
    }

    /// The secret as it was sent, for the hash that a proof binds.
    pub fn expose_text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LoginSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginSecret(<redacted>)")
    }
}

impl<'de> Deserialize<'de> for LoginSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(String::deserialize(deserializer)?)
            .ok_or_else(|| de::Error::custom("the password has to have 16 to 256 characters"))
    }
}

/// `$scrypt$ln=14,r=8,p=5$<salt>$<hash>`: a hash with its cost.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    log_n: u8,
    r: u32,
    p: u32,
    salt: [u8; 16],
    hash: [u8; 32],
}

impl PasswordHash {
    /// Hashes a secret at the present cost.
    pub fn make(secret: &LoginSecret, salt: [u8; 16]) -> Self {
        Self::make_at(LOG_N, R, P, secret, salt)
    }

    fn make_at(log_n: u8, r: u32, p: u32, secret: &LoginSecret, salt: [u8; 16]) -> Self {
        let mut made = Self { log_n, r, p, salt, hash: [0; 32] };
        made.hash = made.derive(secret);
        made
    }

    /// As an older version made it, at a fifth of the present cost.
    #[cfg(test)]
    pub(crate) fn make_weak(secret: &LoginSecret, salt: [u8; 16]) -> Self {
        Self::make_at(LOG_N, R, 1, secret, salt)
    }

    /// Parses a stored hash; `None` when it is corrupt or asks for more than is allowed.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$scrypt$")?.split('$');
        let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        let mut numbers = cost.split(',');
        let parsed = Self {
            log_n: number(numbers.next()?, "ln=")?,
            r: number(numbers.next()?, "r=")?,
            p: number(numbers.next()?, "p=")?,
            salt: STANDARD_NO_PAD.decode(salt).ok()?.try_into().ok()?,
            hash: STANDARD_NO_PAD.decode(hash).ok()?.try_into().ok()?,
        };
        let whole = parts.next().is_none() && numbers.next().is_none();
        (whole && parsed.is_affordable()).then_some(parsed)
    }

    /// Whether this is the secret. Compares in constant time.
    pub fn matches(&self, secret: &LoginSecret) -> bool {
        self.derive(secret).ct_eq(&self.hash).into()
    }

    /// Whether it was made at a lower cost than new ones are.
    pub fn is_weak(&self) -> bool {
        self.work() < WORK_BLOCKS
    }

    /// Hashing blocks that one check takes.
    fn work(&self) -> u64 {
        (1_u64 << self.log_n).saturating_mul(u64::from(self.r)).saturating_mul(u64::from(self.p))
    }

    fn is_affordable(&self) -> bool {
        if !(10..=20).contains(&self.log_n) || self.r == 0 || self.p == 0 {
            return false;
        }
        let blocks = (1_u64 << self.log_n).saturating_mul(u64::from(self.r));
        blocks.saturating_mul(128) <= MEMORY_MAX_BYTES && self.work() <= WORK_MAX_BLOCKS
    }

    fn derive(&self, secret: &LoginSecret) -> [u8; 32] {
        let mut hash = [0; 32];
        let derived = Params::new(self.log_n, self.r, self.p, hash.len())
            .map_err(|_| ())
            .and_then(|params| scrypt(secret.0.as_bytes(), &self.salt, &params, &mut hash).map_err(|_| ()));
        match derived {
            Ok(()) => hash,
            Err(()) => unreachable!("the cost was checked when this was made"),
        }
    }
}

/// Whether `secret` is the one behind `stored`. Without a stored hash the same work is done and the
/// answer is no; for one that is weaker than today's the difference is made up for.
pub fn verify(secret: &LoginSecret, stored: Option<&PasswordHash>) -> bool {
    let matches = stored.is_some_and(|stored| stored.matches(secret));
    let passes = missing_passes(stored);
    if passes > 0 {
        let nobody = PasswordHash { log_n: LOG_N, r: R, p: passes, salt: *b"passport/nobody!", hash: [0; 32] };
        let _ = std::hint::black_box(nobody.matches(secret));
    }
    matches
}

/// How many of today's passes a check of `stored` leaves out, to the nearest whole one.
fn missing_passes(stored: Option<&PasswordHash>) -> u32 {
    let work = stored.map_or(0, PasswordHash::work);
    let missing = WORK_BLOCKS.saturating_sub(work) + PASS_BLOCKS / 2;
    u32::try_from(missing / PASS_BLOCKS).unwrap_or(P)
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let salt = STANDARD_NO_PAD.encode(self.salt);
        let hash = STANDARD_NO_PAD.encode(self.hash);
        write!(f, "$scrypt$ln={},r={},p={}${salt}${hash}", self.log_n, self.r, self.p)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash(ln={},r={},p={},<redacted>)", self.log_n, self.r, self.p)
    }
}

fn number<T: std::str::FromStr>(part: &str, name: &str) -> Option<T> {
    let digits = part.strip_prefix(name)?;
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> LoginSecret {
        LoginSecret::parse(text.to_owned()).unwrap()
    }

    #[test]
    fn a_hash_matches_its_own_secret_only_and_survives_being_stored() {
        let hash = PasswordHash::make(&secret("correct horse battery"), [9; 16]);
        let stored = PasswordHash::parse(&hash.to_string()).unwrap();
        assert!(verify(&secret("correct horse battery"), Some(&stored)));
        assert!(!verify(&secret("correct horse batterz"), Some(&stored)));
    }

    #[test]
    fn nobody_matches_no_secret() {
        assert!(!verify(&secret("correct horse battery"), None));
    }

    #[test]
    fn a_check_costs_todays_work_whatever_is_stored() {
        let made_at = |log_n, r, p| PasswordHash { log_n, r, p, salt: [9; 16], hash: [0; 32] };
        assert_eq!(missing_passes(None), P);
        assert_eq!(missing_passes(Some(&made_at(LOG_N, R, P))), 0);
        for (weak, passes) in
            [(made_at(14, 8, 1), 4), (made_at(13, 8, 1), 5), (made_at(10, 8, 1), 5), (made_at(15, 8, 1), 3)]
        {
            assert!(weak.is_weak());
            assert_eq!(missing_passes(Some(&weak)), passes);
            let total = weak.work() + u64::from(passes) * PASS_BLOCKS;
            assert!(total.abs_diff(WORK_BLOCKS) <= PASS_BLOCKS / 2, "{total}");
        }
        let strong = made_at(15, 8, 4);
        assert!(!strong.is_weak() && missing_passes(Some(&strong)) == 0);
    }

    #[test]
    fn the_third_vector_of_rfc_7914_comes_out() {
        // RFC 7914 section 12: N = 16384, r = 8, p = 1, 64 bytes; the first 32 are the same.
        let vector = PasswordHash { log_n: 14, r: 8, p: 1, salt: [0; 16], hash: [0; 32] };
        let mut out = [0; 64];
        let params = Params::new(vector.log_n, vector.r, vector.p, 64).unwrap();
        scrypt(b"pleaseletmein", b"SodiumChloride", &params, &mut out).unwrap();
        assert!(hex::encode(out).starts_with("7023bdcb3afd7348461c06cd81fd38eb"));
    }

    #[test]
    fn corrupt_hashes_and_hashes_that_ask_for_too_much_are_refused() {
        let good = PasswordHash::make(&secret("correct horse battery"), [9; 16]).to_string();
        for (from, to) in [
            ("$scrypt$", "$argon2id$"),
            ("ln=14", "ln=18"),
            ("ln=14", "ln=255"),
            ("ln=14", "ln=+14"),
            ("ln=14", "ln=1"),
            ("r=8", "r=0"),
            ("r=8", "r=4294967295"),
            ("p=5", "p=200"),
            ("p=5", "p=5,x=1"),
        ] {
            assert!(PasswordHash::parse(&good.replacen(from, to, 1)).is_none(), "{to}");
        }
        assert!(PasswordHash::parse(&format!("{good}$x")).is_none());
        assert!(PasswordHash::parse(&good[..good.len() - 2]).is_none());
    }

    #[test]
    fn login_secrets_have_16_to_256_characters() {
        assert!(LoginSecret::parse("a".repeat(15)).is_none());
        assert!(LoginSecret::parse("a".repeat(257)).is_none());
        assert!(LoginSecret::parse("ä".repeat(256)).is_some());
    }

    #[test]
    fn neither_secrets_nor_hashes_are_shown_by_debug() {
        let hash = PasswordHash::make(&secret("correct horse battery"), [9; 16]);
        let shown = format!("{:?} {hash:?}", secret("correct horse battery"));
        assert!(!shown.contains("correct") && !shown.contains(&STANDARD_NO_PAD.encode(hash.hash)));
    }
}

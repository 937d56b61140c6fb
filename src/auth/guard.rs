//! How often a login may be tried: exact token buckets, per address and per account.
//!
//! A bucket is one number, the time at which it is full again. A try moves that time on by one refill; a try that
//! finds the bucket empty changes nothing, so waiting always helps and impatience never hurts. A success gives its
//! token back: only failures count against an account.
//!
//! Strangers to an account share one bucket, each known device has its own and each session too. Whoever empties
//! the strangers' keeps strangers out for a minute at a time, and never the owner's own devices.
//!
//! Buckets live in guard objects. Their names are MACs, of a valid login name or of an address in its one form, so
//! that no text of a caller's choosing names an object. Times are arguments.

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::device_token::DeviceId;
use super::keys::{AuthKeys, mac};
use super::username::Username;
use crate::config::LoginLimits;
use crate::problem::Problem;

/// By how much [`LoginLimits::Wide`] raises each burst.
const WIDE_FACTOR: u32 = 10_000;

/// Sign-ins from one address, good or bad: a whole office at nine in the morning, and then 30 a minute. Each costs
/// the server 16 MiB for a tenth of a second.
const ADDRESS_SIGN_INS: Limit = Limit::new(60, 2_000);
/// Questions for key-derivation parameters from one address: two for each sign-in, for mistyped names.
const ADDRESS_PARAMS: Limit = Limit::new(120, 1_000);
/// Registrations from one address: a classroom, and then two a minute. Each leaves a row for good.
const ADDRESS_REGISTRATIONS: Limit = Limit::new(30, 30_000);
/// Refreshes from one address: each open page needs one in 15 minutes.
const ADDRESS_REFRESHES: Limit = Limit::new(240, 500);
/// Steps of recoveries from one address, two for each recovery. Nobody loses a password ten times in a minute.
const ADDRESS_RECOVERIES: Limit = Limit::new(20, 10_000);
/// Passkey challenges from one address: each leaves a row for five minutes.
const ADDRESS_CHALLENGES: Limit = Limit::new(60, 2_000);
/// Commands of operators and their tools from one address: a dashboard that looks each second.
const ADDRESS_OPERATORS: Limit = Limit::new(120, 500);
/// Failures of strangers at one account: more than a person mistypes, and then 1440 guesses a day.
const ACCOUNT_STRANGERS: Limit = Limit::new(10, 60_000);
/// Failures from one device that signed in before.
const ACCOUNT_DEVICE: Limit = Limit::new(10, 30_000);
/// Failures to authenticate again within one session: somebody at an unlocked machine.
const ACCOUNT_SESSION: Limit = Limit::new(10, 30_000);

/// Size and speed of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Tries that a full bucket holds.
    pub burst: u32,
    /// Milliseconds until one more is there.
    pub refill_ms: u64,
}

impl Limit {
    const fn new(burst: u32, refill_ms: u64) -> Self {
        Self { burst, refill_ms }
    }

    /// How long an empty bucket takes to be full, in milliseconds.
    const fn whole_ms(self) -> u64 {
        self.refill_ms.saturating_mul(self.burst as u64)
    }

    /// Takes one from a bucket that is full again at `full_at_ms`, and gives the new such time.
    ///
    /// # Errors
    /// How long until there is one, in milliseconds. Nothing has changed then.
    pub fn take(self, full_at_ms: u64, now_ms: u64) -> Result<u64, u64> {
        // No longer than empty, whatever was stored under an older limit or by a clock that was ahead.
        let full_at_ms = full_at_ms.clamp(now_ms, now_ms.saturating_add(self.whole_ms()));
        let after_ms = full_at_ms.saturating_add(self.refill_ms);
        match after_ms.checked_sub(now_ms.saturating_add(self.whole_ms())) {
            None | Some(0) => Ok(after_ms),
            Some(wait_ms) => Err(wait_ms),
        }
    }

    /// Puts one back.
    #[must_use]
    pub fn give_back(self, full_at_ms: u64) -> u64 {
        full_at_ms.saturating_sub(self.refill_ms)
    }
}

/// What is tried, and by whom.
#[derive(Debug, Clone, Copy)]
pub enum Attempt<'a> {
    /// A route that anybody may ask.
    From(&'a Address, Route),
    /// A password for an account, from a device that it does not know. `None` stands for every impossible name.
    Stranger(Option<&'a Username>),
    /// A password for an account, from a device that signed in before.
    Device(&'a Username, &'a DeviceId),
    /// A password for the account of a session, 32 hex digits.
    Session(&'a Username, &'a str),
}

/// Routes that are counted per address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// A password or a passkey.
    SignIn,
    /// Key-derivation parameters.
    Params,
    /// A new account.
    Register,
    /// A refresh token.
    Refresh,
    /// A recovery or its challenge.
    Recover,
    /// A passkey challenge.
    Challenge,
    /// What operators do.
    Operator,
}

impl Route {
    const fn bucket(self) -> (&'static str, Limit) {
        match self {
            Self::SignIn => ("sign_in", ADDRESS_SIGN_INS),
            Self::Params => ("params", ADDRESS_PARAMS),
            Self::Register => ("register", ADDRESS_REGISTRATIONS),
            Self::Refresh => ("refresh", ADDRESS_REFRESHES),
            Self::Recover => ("recover", ADDRESS_RECOVERIES),
            Self::Challenge => ("challenge", ADDRESS_CHALLENGES),
            Self::Operator => ("operator", ADDRESS_OPERATORS),
        }
    }
}

/// Which bucket of which object an attempt is counted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Name of the guard object: a MAC in hex.
    pub object: String,
    /// Name of the bucket in it.
    pub bucket: String,
    /// Its limit.
    pub limit: Limit,
}

impl Attempt<'_> {
    /// Where it is counted.
    pub fn ticket(&self, keys: &AuthKeys, limits: LoginLimits) -> Ticket {
        let named = |kind: &str, name: &str| hex::encode(mac(&keys.guard_name, &[kind.as_bytes(), name.as_bytes()]));
        let account = |username: &Username| named("account", username.as_str());
        let (object, bucket, limit) = match self {
            Self::From(address, route) => {
                let (bucket, limit) = route.bucket();
                (named("address", address.as_str()), bucket.to_owned(), limit)
            }
            Self::Stranger(Some(username)) => (account(username), "strangers".to_owned(), ACCOUNT_STRANGERS),
            Self::Stranger(None) => (named("impossible", ""), "strangers".to_owned(), ACCOUNT_STRANGERS),
            Self::Device(username, device) => (account(username), format!("device/{device}"), ACCOUNT_DEVICE),
            Self::Session(username, session) => (account(username), format!("session/{session}"), ACCOUNT_SESSION),
        };
        let limit = match limits {
            LoginLimits::Standard => limit,
            LoginLimits::Wide => Limit::new(limit.burst.saturating_mul(WIDE_FACTOR), limit.refill_ms),
        };
        Ticket { object, bucket, limit }
    }
}

/// Keeps the buckets.
///
/// Futures need not be `Send`: an isolate has one thread.
#[allow(async_fn_in_trait)]
pub trait Guard {
    /// Takes one try, or answers how long to wait in milliseconds.
    async fn take(&self, ticket: &Ticket) -> Result<Result<(), u64>, Problem>;

    /// Gives one back.
    async fn give_back(&self, ticket: &Ticket) -> Result<(), Problem>;
}

/// Takes one try.
///
/// # Errors
/// `too_many_attempts`, or that the guard did not answer: without it nobody is let in.
pub async fn admit(guard: &impl Guard, ticket: &Ticket) -> Result<(), Problem> {
    let taken = guard.take(ticket).await?;
    taken.map_err(|wait_ms| Problem::too_many_attempts(wait_ms.div_ceil(1000)))
}

#[cfg(test)]
pub(crate) mod tests;

//! The clock and the randomness of this device, and nothing else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand_core::{CryptoRng, OsRng, RngCore};

/// What this device is called in the account's list of sessions.
pub(crate) const DEVICE: &str = match std::env::consts::OS.as_bytes() {
    b"linux" => "Command line on Linux",
    b"macos" => "Command line on macOS",
    b"windows" => "Command line on Windows",
    _ => "Command line",
};

/// Unix seconds.
pub(crate) fn now_s() -> u64 {
    since_1970().as_secs()
}

/// Unix milliseconds.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}

#[allow(clippy::disallowed_methods)] // The one place that reads the clock.
fn since_1970() -> Duration {
    // A clock before 1970 gives 0: every token is then taken as fresh and the server decides.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The operating system's generator.
pub(crate) fn rng() -> impl RngCore + CryptoRng {
    OsRng
}

/// Waits.
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Fresh random bytes.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rng().fill_bytes(&mut bytes);
    bytes
}

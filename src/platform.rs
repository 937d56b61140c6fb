//! The platform's clock and randomness: the only place of the Worker that reads either.
//!
//! The two cores take times and generators as arguments; the shell gets them here. In workerd the
//! clock stands still between two waits for I/O, which is harmless for everything decided by it.

use rand_core::{CryptoRng, Error, RngCore};

/// Milliseconds since the Unix epoch.
#[cfg(target_arch = "wasm32")]
pub fn now_ms() -> u64 {
    worker::Date::now().as_millis()
}

/// Milliseconds since the Unix epoch.
#[cfg(not(target_arch = "wasm32"))]
#[allow(clippy::disallowed_methods)] // the one function of the shell that reads the clock
pub fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
}

/// Seconds since the Unix epoch.
pub fn now_s() -> u64 {
    now_ms() / 1000
}

/// A generator over the platform's own source (`crypto.getRandomValues` in workerd).
pub fn rng() -> PlatformRng {
    PlatformRng(())
}

/// `N` fresh random bytes.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rng().fill_bytes(&mut bytes);
    bytes
}

/// The platform's cryptographic generator. It keeps no state of its own.
#[derive(Debug)]
pub struct PlatformRng(());

impl RngCore for PlatformRng {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// # Panics
    /// When the platform has no randomness left to give. Nothing may go on without it, and the
    /// trait leaves no other way to say so.
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        if let Err(error) = getrandom::getrandom(dest) {
            panic!("the platform refused to give random bytes: {error}");
        }
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        getrandom::getrandom(dest).map_err(Error::new)
    }
}

impl CryptoRng for PlatformRng {}

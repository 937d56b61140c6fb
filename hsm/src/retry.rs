//! How often a request is made again, and how long it may take in all.
//!
//! Only throttling, failures of the provider or the way to it, and lost time are tried again, with exponential back-off
//! and full jitter, or after what the provider asked for. Wrapping or unwrapping twice changes nothing, so a request
//! whose answer was lost may be repeated. What is over the deadline is not waited for.

use crate::{HsmError, HttpRequest, HttpResponse, Transport};

/// Attempts in all.
pub const ATTEMPTS: u32 = 3;
/// Longest first wait, in milliseconds; it doubles each time.
pub const BASE_MS: u64 = 100;
/// Longest wait, in milliseconds.
pub const CAP_MS: u64 = 2_000;
/// Time for one attempt, in milliseconds: a wrap takes below 100, and a hung connection is left for a new one.
pub const ATTEMPT_MS: u64 = 4_000;
/// Time for all attempts and waits of one operation, in milliseconds: apps give up after about ten seconds.
pub const DEADLINE_MS: u64 = 9_000;

/// An attempt that failed, and how long the provider asks to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub error: HsmError,
    /// Wait asked for, in milliseconds.
    pub after_ms: Option<u64>,
}

impl From<HsmError> for Failure {
    fn from(error: HsmError) -> Self {
        Self { error, after_ms: None }
    }
}

/// When an operation has to be over.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(u64);

impl Deadline {
    /// From now.
    pub fn start(transport: &impl Transport) -> Self {
        Self(transport.now_ms().saturating_add(DEADLINE_MS))
    }

    fn left_ms(self, transport: &impl Transport) -> u64 {
        self.0.saturating_sub(transport.now_ms())
    }
}

/// Sends until there is an answer that `judge` takes or won't have tried again. `make` makes each attempt anew,
/// because signatures carry the time.
///
/// # Errors
/// What the last attempt failed with.
pub async fn send<T: Transport, A>(
    transport: &T,
    deadline: Deadline,
    mut make: impl FnMut() -> Result<HttpRequest, HsmError>,
    judge: impl Fn(&HttpResponse) -> Result<A, HsmError>,
) -> Result<A, HsmError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let failure = match once(transport, deadline, make()?, &judge).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        if attempt >= ATTEMPTS || !failure.error.is_transient() {
            return Err(failure.error);
        }
        let wait_ms = failure.after_ms.unwrap_or(0).max(jitter(transport, attempt));
        if wait_ms >= deadline.left_ms(transport) {
            return Err(failure.error);
        }
        transport.sleep(wait_ms).await;
    }
}

async fn once<T: Transport, A>(
    transport: &T,
    deadline: Deadline,
    request: HttpRequest,
    judge: &impl Fn(&HttpResponse) -> Result<A, HsmError>,
) -> Result<A, Failure> {
    let left_ms = deadline.left_ms(transport);
    if left_ms == 0 {
        return Err(HsmError::TimedOut.into());
    }
    let response = transport.send(&request, left_ms.min(ATTEMPT_MS)).await.map_err(HsmError::from)?;
    judge(&response).map_err(|error| Failure { error, after_ms: response.retry_after_ms() })
}

/// Full jitter: anything from nothing to the back-off of this attempt.
fn jitter(transport: &impl Transport, attempt: u32) -> u64 {
    let most = BASE_MS.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(CAP_MS);
    let mut bytes = [0; 8];
    transport.fill_random(&mut bytes);
    u64::from_le_bytes(bytes) % (most + 1)
}

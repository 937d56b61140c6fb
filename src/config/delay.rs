//! `EXPORT_DELAY`: how long the holders wait before they release their shares to the owner's device. `DEK_LIFETIME`: how
//! long an unwrapped data key stays in memory.

use super::{ConfigError, Environment};

const NAME: &str = "EXPORT_DELAY";
const HINT: &str = "Set it to a number of seconds, such as 86400 for a day. In production it has to be \
                    3600 to 2592000: it is the time a person has to notice and cancel.";

/// Shortest delay in production, in seconds.
const PRODUCTION_MIN_S: u64 = 3600;
/// Longest delay, in seconds: thirty days.
const MAX_S: u64 = 30 * 24 * 3600;

/// Parses the variable; milliseconds.
pub(super) fn export_delay_ms(value: Option<String>, environment: Environment) -> Result<u64, ConfigError> {
    let value = value.ok_or(ConfigError::Missing { name: NAME, hint: HINT })?;
    let least_s = match environment {
        Environment::Development => 1,
        Environment::Production => PRODUCTION_MIN_S,
    };
    let seconds = value.parse().ok().filter(|seconds| (least_s..=MAX_S).contains(seconds));
    seconds.map(|seconds: u64| seconds * 1000).ok_or(ConfigError::Invalid { name: NAME, hint: HINT })
}

const LIFETIME_NAME: &str = "DEK_LIFETIME";
const LIFETIME_HINT: &str = "Set it to a number of seconds from 1 to 3600, or leave it out for 300: as long as an \
                             unwrapped data key stays in memory. A shorter time asks the HSM more often.";
const LIFETIME_DEFAULT_MS: u64 = 300_000;
const LIFETIME_MAX_S: u64 = 3600;

/// Parses the variable; milliseconds.
pub(super) fn dek_lifetime_ms(value: Option<String>) -> Result<u64, ConfigError> {
    let Some(value) = value else { return Ok(LIFETIME_DEFAULT_MS) };
    let seconds = value.parse().ok().filter(|seconds| (1..=LIFETIME_MAX_S).contains(seconds));
    seconds.map(|s: u64| s * 1000).ok_or(ConfigError::Invalid { name: LIFETIME_NAME, hint: LIFETIME_HINT })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unwrapped_data_key_stays_for_a_bounded_time() {
        let parse = |value: Option<&str>| dek_lifetime_ms(value.map(str::to_owned)).ok();
        assert_eq!(parse(None), Some(300_000));
        assert_eq!(parse(Some("1")), Some(1_000));
        for bad in ["0", "3601", "-1", "5m", "18446744073709551615"] {
            assert_eq!(parse(Some(bad)), None, "{bad}");
        }
    }

    #[test]
    fn an_export_cannot_be_instant_in_production() {
        let parse = |value: &str, environment| export_delay_ms(Some(value.to_owned()), environment).ok();
        assert_eq!(parse("2", Environment::Development), Some(2_000));
        assert_eq!(parse("86400", Environment::Production), Some(86_400_000));
        for bad in ["0", "60", "3599", "2592001", "-1", "1h"] {
            assert_eq!(parse(bad, Environment::Production), None, "{bad}");
        }
        assert!(export_delay_ms(None, Environment::Development).is_err());
    }
}

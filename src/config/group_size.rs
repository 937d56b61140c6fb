//! `FROST_THRESHOLD` and `MAX_PARTICIPANTS`: how large the groups may be that ceremonies make. The only variables with
//! a default, which is safe: fewer than two holders are refused everywhere, and so are more than ten.

use frost_wasm_core::group::{MAX_HOLDERS, MIN_THRESHOLD};

use super::ConfigError;

/// How large groups may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSize {
    /// How many holders act together where nobody says.
    pub threshold: u16,
    /// How many may take part in a ceremony.
    pub max_participants: u16,
}

impl GroupSize {
    /// Parses both variables.
    pub(super) fn parse(lookup: &impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let most = u16::try_from(MAX_HOLDERS).unwrap_or(u16::MAX);
        let max_participants = number(
            lookup,
            "MAX_PARTICIPANTS",
            "Set it to a number from 2 to 10, or leave it out for 10.",
            most,
            |it| (MIN_THRESHOLD..=most).contains(&it),
        )?;
        let threshold = number(
            lookup,
            "FROST_THRESHOLD",
            "Set it to a number from 2 to MAX_PARTICIPANTS, or leave it out for 2.",
            MIN_THRESHOLD,
            |it| (MIN_THRESHOLD..=max_participants).contains(&it),
        )?;
        Ok(Self { threshold, max_participants })
    }
}

fn number(
    lookup: &impl Fn(&str) -> Option<String>,
    name: &'static str,
    hint: &'static str,
    default: u16,
    fits: impl Fn(u16) -> bool,
) -> Result<u16, ConfigError> {
    match lookup(name) {
        None => Ok(default),
        Some(text) => text.parse().ok().filter(|it| fits(*it)).ok_or(ConfigError::Invalid { name, hint }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_set_a_group_in_which_one_holder_signs_alone() {
        let parse = |threshold: Option<&str>, most: Option<&str>| {
            let of = |name: &str| if name == "FROST_THRESHOLD" { threshold } else { most };
            GroupSize::parse(&|name: &str| of(name).map(str::to_owned))
                .ok()
                .map(|it| (it.threshold, it.max_participants))
        };
        assert_eq!(parse(None, None), Some((2, 10)));
        assert_eq!(parse(Some("3"), Some("5")), Some((3, 5)));
        for (threshold, most) in [("1", "5"), ("0", "5"), ("4", "3"), ("2", "1"), ("2", "11"), ("two", "5"), ("2", "")]
        {
            assert_eq!(parse(Some(threshold), Some(most)), None, "{threshold} {most}");
        }
    }
}

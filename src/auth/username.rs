//! Login names: 3 to 32 of `a-z 0-9 _ . -`, so that two names never look the same.

use std::fmt;

use crate::problem::Problem;

/// Fewest characters of a name.
pub const USERNAME_MIN_CHARS: usize = 3;
/// Most characters of a name: enough for a person, short enough for a line.
pub const USERNAME_MAX_CHARS: usize = 32;

/// A valid login name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Parses a name exactly as given: nothing is trimmed or lower-cased.
    ///
    /// # Errors
    /// `username_invalid` with the rule.
    pub fn parse(name: &str) -> Result<Self, Problem> {
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.' | '-');
        let length = USERNAME_MIN_CHARS..=USERNAME_MAX_CHARS;
        if length.contains(&name.len()) && name.chars().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(Problem::invalid(
                "username_invalid",
                "Choose a username of 3 to 32 characters out of a-z, 0-9, _, . and -.",
            ))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_lower_case_names_of_the_right_length_are_taken() {
        for good in ["abc", "a.b-c_9", &"a".repeat(32)] {
            assert!(Username::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "Abc", " abc", "abc ", "аbс", "a/b", &"a".repeat(33)] {
            assert_eq!(Username::parse(bad).unwrap_err().code(), "username_invalid");
        }
    }
}

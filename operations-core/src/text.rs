//! Text that people and code write into records: bounded, and without characters that can't be seen.

use serde::{Deserialize, Serialize};

/// Characters of an operator's name: what fits a line.
pub const MAX_NAME_CHARS: usize = 64;
/// Characters of a reason: a sentence or two.
pub const MAX_REASON_CHARS: usize = 280;
/// Characters of a code.
pub const MAX_CODE_CHARS: usize = 64;
/// Characters of a request's id, as the Worker's front gives it.
pub const MAX_REQUEST_ID_CHARS: usize = 64;

/// Text that is empty, too long, or has characters that can't be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {0} printable characters")]
pub struct BadText(usize);

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $max:ident, $fits:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadText;

            fn try_from(text: String) -> Result<Self, BadText> {
                let fits = (1..=$max).contains(&text.chars().count()) && text.trim() == text && text.chars().all($fits);
                if fits { Ok(Self(text)) } else { Err(BadText($max)) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadText;

            fn from_str(text: &str) -> Result<Self, BadText> {
                Self::try_from(text.to_owned())
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                crate::openapi::text($max)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// What an operator is called among the others.
    OperatorName, MAX_NAME_CHARS, is_printable
);
text!(
    /// Why an operator does something, in their own words. It is kept in clear: nothing personal belongs there.
    Reason, MAX_REASON_CHARS, is_printable
);
text!(
    /// A word of the program's own in a record, `[a-z0-9_.:-]`: never what a person typed.
    Code, MAX_CODE_CHARS, is_code
);
text!(
    /// A request's id, as it stands in the logs, `[A-Za-z0-9_.:-]`.
    RequestId, MAX_REQUEST_ID_CHARS, is_id
);

impl OperatorName {
    /// Whether two names are the same to a reader who does not look at case.
    pub fn reads_like(&self, other: &Self) -> bool {
        self.0.to_lowercase() == other.0.to_lowercase()
    }
}

impl Code {
    /// One of the program's codes; `invalid_code` for a text that is none.
    pub fn new(code: &'static str) -> Self {
        code.parse().unwrap_or_else(|_| Self("invalid_code".to_owned()))
    }
}

fn is_printable(c: char) -> bool {
    // Formatting characters let one name look like another.
    let is_invisible = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !is_invisible
}

fn is_code(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '_' | '.' | ':' | '-')
}

fn is_id(c: char) -> bool {
    is_code(c) || c.is_ascii_uppercase()
}

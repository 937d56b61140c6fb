//! The full name of a KMS key: `arn:aws:kms:eu-central-1:111122223333:key/…`.

use std::fmt;

/// Digits in an account's number.
const ACCOUNT_DIGITS: usize = 12;

/// A key's ARN. Never an alias, which somebody else could point to another key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyArn {
    text: String,
    region: String,
    is_china: bool,
}

impl KeyArn {
    /// Parses an ARN of a key; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let [scheme, partition, service, region, account, resource] = parts.as_slice() else { return None };
        let is_word = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let key = resource.strip_prefix("key/")?;
        let fits = *scheme == "arn"
            && matches!(*partition, "aws" | "aws-cn" | "aws-us-gov")
            && *service == "kms"
            && is_word(region)
            && account.len() == ACCOUNT_DIGITS
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && is_word(key);
        fits.then(|| Self { text: text.to_owned(), region: (*region).to_owned(), is_china: *partition == "aws-cn" })
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the key is.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Scheme and host of the region's KMS.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let suffix = if self.is_china { ".cn" } else { "" };
        format!("https://kms.{}.amazonaws.com{suffix}", self.region)
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_full_arn_and_by_no_alias() {
        let arn =
            KeyArn::parse("arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab").unwrap();
        assert_eq!((arn.region(), arn.endpoint().as_str()), ("eu-central-1", "https://kms.eu-central-1.amazonaws.com"));
        assert!(KeyArn::parse("arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab").is_some());
        for bad in [
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/bunker",
            "arn:aws:kms:eu-central-1:111122223333:alias/bunker",
            "arn:aws:kms:eu-central-1:1111:key/1234abcd",
            "arn:aws:s3:eu-central-1:111122223333:key/1234abcd",
            "arn:aws:kms:host.evil/:111122223333:key/1234abcd",
            "arn:aws:kms:eu-central-1:111122223333:key/",
            "arn:aws:kms:eu-central-1:111122223333:key/1:2",
        ] {
            assert_eq!(KeyArn::parse(bad), None, "{bad}");
        }
    }
}

//! Signature Version 4 for what KMS takes: requests to `/` without a query, all of whose headers are signed.
//!
//! The official crate (`aws-sigv4`) does more and brings 52 crates, among them a second `sha2`, `hmac` and `digest`,
//! `tokio`, `tracing` and `time`. `tests/sigv4.rs` holds this one against that crate's vectors and against botocore.
//!
//! See [the specification](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{HttpRequest, Method};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DAY_S: u64 = 86_400;

/// Who signs what for where, and when.
pub struct Signing<'a> {
    /// Id of the access key.
    pub access_key_id: &'a str,
    /// Its secret.
    pub secret_access_key: &'a str,
    /// Of temporary credentials.
    pub session_token: Option<&'a str>,
    /// Such as `eu-central-1`.
    pub region: &'a str,
    /// Such as `kms`.
    pub service: &'a str,
    /// Milliseconds since the Unix epoch.
    pub now_ms: u64,
}

impl Signing<'_> {
    /// Adds date, token and signature to a request for `/` at this host.
    pub fn sign(&self, request: &mut HttpRequest, host: &str) {
        let mut add = |name, value: String| request.headers.push((name, Zeroizing::new(value)));
        add("x-amz-date", time(self.now_ms));
        if let Some(token) = self.session_token {
            add("x-amz-security-token", token.to_owned());
        }
        let (canonical, signed) = canonical(request, host);
        let signature = self.signature(&self.string_to_sign(&canonical));
        let authorization = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={signed}, Signature={signature}",
            self.access_key_id,
            self.scope()
        );
        request.headers.push(("authorization", Zeroizing::new(authorization)));
    }

    /// What is signed of a canonical request.
    #[must_use]
    pub fn string_to_sign(&self, canonical: &str) -> String {
        let hash = hex::encode(Sha256::digest(canonical));
        format!("{ALGORITHM}\n{}\n{}\n{hash}", time(self.now_ms), self.scope())
    }

    fn signature(&self, text: &str) -> String {
        let first = Zeroizing::new(format!("AWS4{}", self.secret_access_key));
        let parts = [&date(self.now_ms), self.region, self.service, "aws4_request"];
        let key = parts.iter().fold(Zeroizing::new(first.as_bytes().to_vec()), |key, part| mac(&key, part));
        hex::encode(mac(&key, text).as_slice())
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", date(self.now_ms), self.region, self.service)
    }
}

/// The canonical form of a request for `/` at this host, and the names of its headers.
#[must_use]
pub fn canonical(request: &HttpRequest, host: &str) -> (Zeroizing<String>, String) {
    let mut headers: Vec<(&str, String)> = request.headers.iter().map(|(name, value)| (*name, tidy(value))).collect();
    headers.push(("host", tidy(host)));
    headers.sort_by_key(|(name, _)| *name);
    let signed = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let method = match request.method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    let body = hex::encode(Sha256::digest(request.body.as_slice()));
    (Zeroizing::new(format!("{method}\n/\n\n{lines}\n{signed}\n{body}")), signed)
}

/// Without space around, and with one space for several.
fn tidy(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn mac(key: &[u8], text: &str) -> Zeroizing<Vec<u8>> {
    // HMAC takes a key of any length.
    let mac = Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec());
    Zeroizing::new(mac.unwrap_or_default())
}

/// `20150830`
fn date(now_ms: u64) -> String {
    let (year, month, day) = civil(now_ms / 1000 / DAY_S);
    format!("{year:04}{month:02}{day:02}")
}

/// `20150830T123600Z`
fn time(now_ms: u64) -> String {
    let second = now_ms / 1000 % DAY_S;
    format!("{}T{:02}{:02}{:02}Z", date(now_ms), second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of a day since the Unix epoch (Howard Hinnant's `civil_from_days`, for days after 1970).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "19700101T000000Z"),
            (951_782_399_000, "20000228T235959Z"),
            (951_782_400_000, "20000229T000000Z"),
            (1_440_938_160_000, "20150830T123600Z"),
            (1_709_164_800_000, "20240229T000000Z"),
            (1_735_689_599_999, "20241231T235959Z"),
            (4_107_542_400_000, "21000301T000000Z"),
        ] {
            assert_eq!(time(ms), text);
        }
    }
}

//! Secrets from a person: asked for without echo, or taken from the environment, never from arguments.
//!
//! A variable that is set wins, so that a script runs the same with and without a terminal.

use std::io::{self, IsTerminal, Read};

use bunker_core::{keys::TransportSecret, nip19};
use frost_wasm_core::secret::{Secret32, SecretString};
use rand_core::RngCore;
use zeroize::Zeroizing;

use crate::{failure::Failure, platform};

/// Holds the account's password.
pub(crate) const PASSWORD: Wanted = Wanted { variable: "PASSPORT_PASSWORD", name: "password" };

/// Holds the recovery kit's passphrase.
pub(crate) const KIT_PASSPHRASE: Wanted = Wanted { variable: "PASSPORT_KIT_PASSPHRASE", name: "kit passphrase" };

/// Fewest characters of a new password or passphrase (NIST SP 800-63B).
const NEW_MIN_CHARS: usize = 8;

/// Bytes read from standard input for a key: an nsec has 63.
const KEY_INPUT_MAX_BYTES: u64 = 4096;

/// Characters of made passphrases: none that look alike, 32 so that each is worth five bits.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";

/// Groups of a made passphrase, five characters each: 125 bits.
const MADE_GROUPS: usize = 5;

/// A secret that a person knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    variable: &'static str,
    name: &'static str,
}

impl Wanted {
    /// What the environment says, if anything.
    pub(crate) fn in_environment(&self) -> Result<Option<SecretString>, Failure> {
        match std::env::var(self.variable) {
            Ok(text) if text.is_empty() => {
                Err(Failure::Usage(format!("{} is set, but empty. Give it a value or unset it.", self.variable)))
            }
            Ok(text) => Ok(Some(SecretString::from(text))),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(Failure::Usage(format!("{} is not UTF-8.", self.variable))),
        }
    }

    /// A secret that was chosen before.
    pub(crate) fn ask(&self, whose: &str) -> Result<SecretString, Failure> {
        match self.in_environment()? {
            Some(secret) => Ok(secret),
            None => self.prompt(&format!("{} for {whose}: ", capitalised(self.name))),
        }
    }

    /// A secret that is being chosen: long enough, and typed twice.
    pub(crate) fn choose(&self, whose: &str) -> Result<SecretString, Failure> {
        if let Some(secret) = self.in_environment()? {
            return self.long_enough(secret);
        }
        let first = self.prompt(&format!("New {} for {whose}: ", self.name))?;
        let first = self.long_enough(first)?;
        let second = self.prompt(&format!("The same {} again: ", self.name))?;
        if first.expose_secret() == second.expose_secret() {
            Ok(first)
        } else {
            Err(Failure::stopped("not_the_same", format!("The two {}s differ. Try again.", self.name)))
        }
    }

    /// What the environment says, else a new random one; `true` when it was made here.
    pub(crate) fn choose_or_make(&self) -> Result<(SecretString, bool), Failure> {
        match self.in_environment()? {
            Some(secret) => Ok((self.long_enough(secret)?, false)),
            None => Ok((make(), true)),
        }
    }

    fn long_enough(&self, secret: SecretString) -> Result<SecretString, Failure> {
        if secret.expose_secret().chars().count() >= NEW_MIN_CHARS {
            Ok(secret)
        } else {
            Err(Failure::stopped(
                "too_short",
                format!("Choose a {} of at least {NEW_MIN_CHARS} characters.", self.name),
            ))
        }
    }

    fn prompt(&self, question: &str) -> Result<SecretString, Failure> {
        let answer = rpassword::prompt_password(question).map(SecretString::from).map_err(|_| {
            Failure::Usage(format!("There is no terminal to ask for the {} on. Set {}.", self.name, self.variable))
        })?;
        if answer.expose_secret().is_empty() {
            return Err(Failure::stopped("nothing_typed", format!("No {} was typed.", self.name)));
        }
        Ok(answer)
    }
}

/// A secret key from standard input, or typed without echo when that is a terminal.
pub(crate) fn secret_key() -> Result<Secret32, Failure> {
    let stdin = io::stdin();
    let unreadable = |_| Failure::stopped("key_unreadable", "Standard input could not be read.");
    let text = if stdin.is_terminal() {
        rpassword::prompt_password("Secret key (nsec1… or 64 hex characters): ")
            .map(Zeroizing::new)
            .map_err(unreadable)?
    } else {
        // All the room at once, so that growing leaves no copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_INPUT_MAX_BYTES as usize));
        stdin.lock().take(KEY_INPUT_MAX_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| no_key("It is no text."))?;
        Zeroizing::new(text.to_owned())
    };
    parse_secret_key(text.trim())
}

fn parse_secret_key(text: &str) -> Result<Secret32, Failure> {
    if text.is_empty() {
        return Err(no_key("Standard input was empty."));
    }
    if text.starts_with("npub1") {
        return Err(no_key("An npub is a public key; nothing can be signed with it."));
    }
    if text.starts_with("ncryptsec1") {
        return Err(no_key(
            "An ncryptsec is encrypted with a password: decrypt it first with the program that made it.",
        ));
    }
    if text.starts_with("nsec1") {
        return nip19::decode_nsec(text).map_err(|error| no_key(&format!("The {error}.")));
    }
    let secret =
        Secret32::from_hex(text).map_err(|_| no_key("It is neither an nsec nor 64 lowercase hex characters."))?;
    TransportSecret::from_secret(&secret).map_err(|_| no_key("The number is out of range for a key."))?;
    Ok(secret)
}

fn no_key(why: &str) -> Failure {
    Failure::stopped(
        "not_a_secret_key",
        format!("This is no secret key. {why} Give one nsec1… or 64 hex characters on standard input."),
    )
}

fn make() -> SecretString {
    let mut text = Zeroizing::new(String::with_capacity(MADE_GROUPS * 6));
    let mut rng = platform::rng();
    for group in 0..MADE_GROUPS {
        if group > 0 {
            text.push('-');
        }
        let mut bytes = Zeroizing::new([0; 5]);
        rng.fill_bytes(bytes.as_mut());
        let drawn = bytes.iter().map(|byte| ALPHABET[usize::from(byte % 32)]);
        text.extend(drawn.map(char::from));
    }
    SecretString::from(text.as_str().to_owned())
}

fn capitalised(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    first.to_ascii_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
    const HEX: &str = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa";

    #[test]
    fn an_nsec_and_its_hex_are_the_same_key() {
        let of = |text| parse_secret_key(text).unwrap().to_hex();
        assert_eq!(of(NSEC).expose_secret(), HEX);
        assert_eq!(of(HEX).expose_secret(), HEX);
    }

    #[test]
    fn what_is_no_secret_key_is_refused_without_being_repeated() {
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        for text in [
            "",
            "hunter2-hunter2",
            &HEX[1..],
            &HEX.to_uppercase(),
            &format!("{NSEC} {NSEC}"),
            &NSEC[..62],
            &"0".repeat(64),
            order,
            "npub1sn0wdenkukak0d9dfczzeacvhkrgz92ak56egt7vdgzn8pv2wfqqhrjdv9",
            "ncryptsec1qgg9947rlpvqu76pj5ecreduf9jxhselq2nae2kghhvd5g7dgjtcxfqtd67p9",
        ] {
            let failure = parse_secret_key(text).unwrap_err();
            assert_eq!(failure.code(), "not_a_secret_key");
            assert!(text.is_empty() || !failure.to_string().contains(text), "{failure}");
        }
    }

    #[test]
    fn made_passphrases_are_long_and_differ() {
        let (one, two) = (make(), make());
        assert_eq!(one.expose_secret().len(), 29);
        assert_ne!(one.expose_secret(), two.expose_secret());
    }

    #[test]
    fn a_short_new_password_is_refused() {
        let short = PASSWORD.long_enough(SecretString::from("seven77".to_owned()));
        assert_eq!(short.unwrap_err().code(), "too_short");
    }
}

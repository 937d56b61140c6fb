//! Secrets from a person: asked for without echo, or taken from the environment, never from arguments.
//!
//! A variable that is set wins, so that a script runs the same with and without a terminal.

use std::io::{self, IsTerminal, Read};

use frost_wasm_core::secret::{Secret32, SecretString};
use passport_device::{
    password,
    secret_key::{self, GivenKey},
};
use rand_core::RngCore;
use zeroize::Zeroizing;

use crate::{failure::Failure, output, platform};

/// Holds the account's password.
pub(crate) const PASSWORD: Wanted = Wanted { variable: "PASSPORT_PASSWORD", name: "password" };

/// Holds the recovery kit's passphrase.
pub(crate) const KIT_PASSPHRASE: Wanted = Wanted { variable: "PASSPORT_KIT_PASSPHRASE", name: "kit passphrase" };

/// Holds the password that is to follow the account's present one.
pub(crate) const NEW_PASSWORD: Wanted = Wanted { variable: "PASSPORT_NEW_PASSWORD", name: "password" };

/// Holds the passphrase that is to follow the kit's present one.
pub(crate) const NEW_KIT_PASSPHRASE: Wanted =
    Wanted { variable: "PASSPORT_NEW_KIT_PASSPHRASE", name: "kit passphrase" };

/// Holds the password of an encrypted key (ncryptsec).
pub(crate) const KEY_PASSWORD: Wanted = Wanted { variable: "PASSPORT_KEY_PASSWORD", name: "password" };

/// Holds an operator's token.
pub(crate) const OPERATOR_TOKEN: Wanted = Wanted { variable: "PASSPORT_OPERATOR_TOKEN", name: "operator's token" };

/// Holds the token with which a server's first operators are set up.
pub(crate) const SETUP_TOKEN: Wanted = Wanted { variable: "PASSPORT_SETUP_TOKEN", name: "set-up token" };

/// Bytes read from standard input for a key: an ncryptsec has 162.
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

    /// A secret that is being chosen: none that is tried first, and typed twice.
    pub(crate) fn choose(&self, whose: &str) -> Result<SecretString, Failure> {
        if let Some(secret) = self.in_environment()? {
            return self.strong(secret, Some(whose));
        }
        let first = self.prompt(&format!("New {} for {whose}: ", self.name))?;
        let first = self.strong(first, Some(whose))?;
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
            Some(secret) => Ok((self.strong(secret, None)?, false)),
            None => Ok((make(), true)),
        }
    }

    fn strong(&self, secret: SecretString, whose: Option<&str>) -> Result<SecretString, Failure> {
        match password::check_secret(&secret, whose) {
            Ok(()) => Ok(secret),
            Err(weak) => Err(Failure::stopped("weak_password", format!("Choose another {}. {weak}", self.name))),
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
        rpassword::prompt_password("Secret key (nsec1…, ncryptsec1… or 64 hex characters): ")
            .map(Zeroizing::new)
            .map_err(unreadable)?
    } else {
        // All the room at once, so that growing leaves no copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_INPUT_MAX_BYTES as usize));
        stdin.lock().take(KEY_INPUT_MAX_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            Failure::stopped("not_a_secret_key", "This is no secret key: it is no text. Give it on standard input.")
        })?;
        Zeroizing::new(text.to_owned())
    };
    match GivenKey::parse(&text)? {
        GivenKey::Plain(secret, _) => Ok(secret),
        GivenKey::Encrypted(key) => {
            let password = KEY_PASSWORD.ask("the encrypted key")?;
            Ok(secret_key::open(&key, &secret_key::stretch(&key, password.expose_secret())?)?)
        }
    }
}

/// Asks whether to go on.
///
/// # Errors
/// `code` with the words for it, when the person does not say yes.
pub(crate) fn agree(question: &str, code: &'static str, otherwise: &str) -> Result<(), Failure> {
    output::question(&format!("{question} [y]es, [n]o: "));
    match choice("yn")? {
        Some('y') => Ok(()),
        _ => Err(Failure::stopped(code, otherwise)),
    }
}

/// What a person chooses out of a few letters; `None` when standard input has ended.
pub(crate) fn choice(letters: &str) -> Result<Option<char>, Failure> {
    let mut line = String::new();
    loop {
        line.clear();
        let read = io::stdin()
            .read_line(&mut line)
            .map_err(|_| Failure::stopped("answer_unreadable", "Standard input could not be read."))?;
        if read == 0 {
            return Ok(None);
        }
        let mut typed = line.trim().chars().flat_map(char::to_lowercase);
        if let (Some(letter), None) = (typed.next(), typed.next())
            && letters.contains(letter)
        {
            return Ok(Some(letter));
        }
        output::question(&format!("Type one of {letters}: "));
    }
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

    #[test]
    fn made_passphrases_are_long_and_differ() {
        let (one, two) = (make(), make());
        assert_eq!(one.expose_secret().len(), 29);
        assert_ne!(one.expose_secret(), two.expose_secret());
    }

    #[test]
    fn a_new_password_that_is_tried_first_is_refused() {
        let refused = |text: &str| {
            let chosen = PASSWORD.strong(SecretString::from(text.to_owned()), Some("alice"));
            chosen.map(drop).map_err(|failure| failure.code().to_owned())
        };
        for text in ["seven77", "password123", "alice-alice"] {
            assert_eq!(refused(text), Err("weak_password".to_owned()), "{text}");
        }
        assert_eq!(refused(make().expose_secret()), Ok(()));
    }
}

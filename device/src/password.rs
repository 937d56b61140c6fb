//! Looking at a password or passphrase that is being chosen.
//!
//! Guards against what is tried first: short ones, common words with a number behind them, keyboard walks, the
//! person's own name. It can't tell a good one, only these bad ones. What was chosen before is never looked at: a
//! rule that is newer than a password locks nobody out.

use std::{collections::HashSet, sync::LazyLock};

use frost_wasm_core::secret::SecretString;
use zeroize::Zeroizing;

/// Fewest characters.
pub const MIN_CHARS: usize = 10;
/// Fewest different characters.
const MIN_DIFFERENT: usize = 5;
/// Characters that may stand around a common word and leave it as easily guessed: a year, a date, a few signs.
const MAX_DECORATION: usize = 10;
/// Shortest name looked for in a password.
const MIN_NAME_CHARS: usize = 3;
/// Characters that have to be left when the person's name is taken out.
const MIN_BESIDES_NAME: usize = 6;
/// Steps that follow each other on a keyboard, in the alphabet or in counting, counted as one.
const MAX_WALKS: usize = 3;

const COMMON: &str = include_str!("password/common.txt");
const ROWS: [&str; 8] = [
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
];

static WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| COMMON.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect());

/// Why a password is refused, in words for the person who chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    /// Fewer than [`MIN_CHARS`].
    #[error("Use at least {MIN_CHARS} characters. A few words that don't belong together are easy to remember.")]
    TooShort,
    /// The person's name and little else.
    #[error("This is mostly your username, which is tried first. Use something that has nothing to do with it.")]
    Name,
    /// A common word, or two, perhaps with digits and signs.
    #[error(
        "This is among the passwords that are tried first: a common word with digits or signs stays a common word. Use several words that don't belong together."
    )]
    Common,
    /// Digits only, few different characters, or a walk over the keyboard.
    #[error("This is a simple pattern, and those are tried first. Use several words that don't belong together.")]
    Pattern,
}

/// Refuses what is tried first.
pub fn check(password: &str, username: Option<&str>) -> Result<(), Weak> {
    if password.chars().count() < MIN_CHARS {
        return Err(Weak::TooShort);
    }
    let lower = Zeroizing::new(password.to_lowercase());
    if username.is_some_and(|name| is_mostly(&lower, &name.to_lowercase())) {
        return Err(Weak::Name);
    }
    if is_pattern(&lower) {
        return Err(Weak::Pattern);
    }
    let as_typed: Zeroizing<String> = Zeroizing::new(lower.chars().filter(|c| c.is_alphabetic()).collect());
    let undisguised: Zeroizing<String> =
        Zeroizing::new(lower.trim_end_matches(|c: char| !c.is_alphabetic()).chars().filter_map(undisguised).collect());
    if [as_typed, undisguised].iter().any(|text| is_common(text, lower.chars().count())) {
        return Err(Weak::Common);
    }
    Ok(())
}

/// As [`check`], for a secret.
pub fn check_secret(secret: &SecretString, username: Option<&str>) -> Result<(), Weak> {
    check(secret.expose_secret(), username)
}

fn is_mostly(password: &str, name: &str) -> bool {
    if name.chars().count() < MIN_NAME_CHARS || !password.contains(name) {
        return false;
    }
    let rest = Zeroizing::new(password.replace(name, ""));
    rest.chars().filter(|c| c.is_alphabetic()).count() < MIN_BESIDES_NAME
}

fn is_pattern(password: &str) -> bool {
    let different: HashSet<char> = password.chars().collect();
    if different.len() < MIN_DIFFERENT || password.chars().all(|c| !c.is_alphabetic()) {
        return true;
    }
    let mut walks = 1;
    for (one, next) in password.chars().zip(password.chars().skip(1)) {
        if !is_step(one, next) {
            walks += 1;
        }
    }
    walks <= MAX_WALKS
}

/// The same character again, or one beside it.
fn is_step(one: char, next: char) -> bool {
    let beside = |row: &str| {
        let at = |c| row.chars().position(|it| it == c);
        matches!((at(one), at(next)), (Some(a), Some(b)) if a.abs_diff(b) == 1)
    };
    one == next || ROWS.iter().any(|row| beside(row))
}

/// A letter that a sign or digit stands for; a letter for itself.
fn undisguised(c: char) -> Option<char> {
    Some(match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' | '€' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        '8' => 'b',
        '9' => 'g',
        c if c.is_alphabetic() => c,
        _ => return None,
    })
}

/// One common word, or two together, or one over and over; `all` is the length with everything around.
fn is_common(letters: &str, all: usize) -> bool {
    let length = letters.chars().count();
    if length == 0 || all.saturating_sub(length) > MAX_DECORATION {
        return false;
    }
    let is_word = |text: &str| WORDS.contains(text);
    let splits = || letters.char_indices().skip(1).filter_map(|(at, _)| letters.split_at_checked(at));
    is_word(letters) || splits().any(|(head, tail)| is_word(head) && (is_word(tail) || is_repeated(head, tail)))
}

fn is_repeated(head: &str, tail: &str) -> bool {
    let rest = tail.trim_start_matches(head);
    head.starts_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_first_is_refused_and_why() {
        for (password, why) in [
            ("", Weak::TooShort),
            ("short-one", Weak::TooShort),
            ("\u{1f600}\u{1f600}\u{1f600}", Weak::TooShort),
            ("password123", Weak::Common),
            ("Password2024!", Weak::Common),
            ("P@ssw0rd!!", Weak::Common),
            ("pa55word!2025", Weak::Common),
            ("sunshine2019", Weak::Common),
            ("Summer2026!", Weak::Common),
            ("iloveyou<3<3", Weak::Common),
            ("monkey-dragon", Weak::Common),
            ("michael jordan", Weak::Common),
            ("sunshinesunshinesun", Weak::Common),
            ("lovelovelovelove", Weak::Pattern),
            ("correct horse battery staple", Weak::Common),
            ("!!welcome!!", Weak::Common),
            ("l3tm31n_now", Weak::Common),
            ("1234567890", Weak::Pattern),
            ("0123456789876", Weak::Pattern),
            ("19841212010203", Weak::Pattern),
            ("+49 170 1234567", Weak::Pattern),
            ("qwertyuiop", Weak::Pattern),
            ("asdfghjkl1234", Weak::Pattern),
            ("abcdefghijklm", Weak::Pattern),
            ("aaaaaaaaaaaa", Weak::Pattern),
            ("abababababab", Weak::Pattern),
            ("qazwsxedc1234", Weak::Common),
            ("alice-alice-1", Weak::Name),
            ("ALICE19841212", Weak::Name),
        ] {
            assert_eq!(check(password, Some("alice")), Err(why), "{password}");
        }
    }

    #[test]
    fn what_is_not_is_let_through() {
        for password in [
            "incorrect donkey charger paperclip",
            "a password for tests only",
            "a passphrase for tests only",
            "gravel-otter-94",
            "k7Q2-93mf-21xx",
            "Tr0ub4dor&3xyz",
            "vierzig Enten im Regal",
            "пчела над рекой",
            "bob sits by the brook",
            "x7k2m-p9q4r-abcde-fghjk-23456",
            "dragon-837465-2910-7734",
        ] {
            assert_eq!(check(password, Some("bob")), Ok(()), "{password}");
        }
    }

    #[test]
    fn the_list_is_as_it_should_be() {
        assert!(WORDS.len() > 1_900, "{}", WORDS.len());
        assert!(WORDS.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase())));
        assert!(WORDS.iter().all(|word| word.len() > 1));
    }
}

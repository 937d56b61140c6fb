//! Saying something as the owner: a statement with the next number, and once more when another device was faster.

use bunker_core::{event::Event, statement::Verb};
use passport_device::owner::{OwnerKey, next_seq};

use crate::{failure::Failure, identity, platform, session::Session, wire::KeyView};

/// How often a number is tried that another device has taken meanwhile.
const TRIES: u32 = 3;

/// Signs a verb as a key's next statement and sends it.
pub(crate) fn say<T>(
    session: &mut Session,
    key: &KeyView,
    owner: &OwnerKey,
    verb: &Verb,
    send: impl FnMut(&mut Session, &Event) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let sign = |seq| Ok(owner.sign(key.group, seq, verb, platform::now_s(), &mut platform::rng())?);
    say_signed(session, key, sign, send).map(|(_, answer)| answer)
}

/// As [`say`], for what has more to it than a statement; gives it back with the answer.
pub(crate) fn say_signed<S, T>(
    session: &mut Session,
    key: &KeyView,
    sign: impl Fn(u64) -> Result<S, Failure>,
    mut send: impl FnMut(&mut Session, &S) -> Result<T, Failure>,
) -> Result<(S, T), Failure> {
    let mut tried = 1;
    loop {
        let seq = next_seq(identity::detail(session, key)?.sequence)?;
        let signed = sign(seq)?;
        match send(session, &signed) {
            Ok(answer) => return Ok((signed, answer)),
            Err(failure) if failure.code() == "statement_not_newer" && tried < TRIES => tried += 1,
            Err(failure) => return Err(failure),
        }
    }
}

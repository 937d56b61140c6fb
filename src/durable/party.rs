//! A server-side holder in a ceremony, before it has a share: its seed, sealed under a data key of its own, and all
//! that was said so far. What it has to say follows from those, so an eviction between any two steps costs nothing but
//! the nonces in flight, which are made anew.

use std::{cell::RefCell, rc::Rc};

use frost_wasm_core::{
    ceremony::{CeremonyId, Memory, Package, Participant, PartyKeys, Step, Terms, Transcript, ValidTerms},
    group::{GroupPublic, HolderRole},
    point::XOnlyKey,
    sealed::{Dek, Label, SealedBytes},
    secret::Secret32,
    share::KeyShare,
};
use serde::{Deserialize, Serialize};
use worker::{Env, State};

use super::{
    holder::config,
    problems::{damaged, sealing},
    rows::Log,
    rpc::{PartyCall, PartyReply},
};
use crate::{
    config::Config,
    hsm::{self, Hsm, WrappedDek},
    platform,
    problem::Problem,
};

const TABLE: &str = "party";
/// Purpose of the sealed seed.
const SEED: &str = "ceremony-seed";
/// How long a holder remembers a ceremony of which no identity came, in milliseconds: longer than any ceremony runs.
const KEPT_MS: u64 = 14 * 24 * 60 * 60 * 1000;

/// What stands first in the table; packages follow.
#[derive(Serialize, Deserialize)]
struct Begun {
    terms: Terms,
    number: u16,
    kek_id: String,
    /// Hex.
    wrapped_dek: String,
    seed: SealedBytes,
    at_ms: u64,
}

/// A party that is awake.
pub(super) struct Party {
    number: u16,
    keys: PartyKeys,
    log: Log,
    transcript: RefCell<Transcript>,
    memory: RefCell<Memory>,
}

/// Holds the party of an object while it is in memory.
#[derive(Default)]
pub(super) struct PartySlot(RefCell<Option<Rc<Party>>>);

impl PartySlot {
    /// Takes what the others said, and gives what this holder has to say.
    pub(super) async fn take(
        &self,
        object: &State,
        env: &Env,
        role: HolderRole,
        call: PartyCall,
    ) -> Result<PartyReply, Problem> {
        let terms = call.terms.validate().map_err(|error| unacceptable(&error.to_string()))?;
        let party = match self.get(object, env, role).await? {
            Some(party) => party,
            None => self.begin(object, env, role, &terms, call.number).await?,
        };
        if party.transcript.borrow().terms().digest() != terms.digest() {
            return Err(Problem::new(
                409,
                "ceremony_pending",
                "Another ceremony makes a key under this id. Begin again with a new id.",
            ));
        }
        party.take(&call.packages)?;
        party.answer().map(|package| PartyReply { package })
    }

    /// The share that came out of a ceremony, for the identity that its owner now creates.
    pub(super) async fn share(
        &self,
        object: &State,
        env: &Env,
        role: HolderRole,
        ceremony: &CeremonyId,
        owner: &XOnlyKey,
        public: &GroupPublic,
    ) -> Result<KeyShare, Problem> {
        let unfinished = || {
            let detail = "This holder has no finished ceremony of that id. Take part until it is verified.";
            Problem::new(409, "ceremony_unfinished", detail)
        };
        let party = self.get(object, env, role).await?.ok_or_else(unfinished)?;
        let transcript = party.transcript.borrow();
        if transcript.terms().ceremony != *ceremony || transcript.step() != Step::Verified {
            return Err(unfinished());
        }
        if !transcript.terms().parties.iter().any(|it| it.signing == *owner) {
            return Err(unacceptable("its owner did not take part"));
        }
        if transcript.group().is_none_or(|group| **group != *public) {
            return Err(unacceptable("another group came out of it"));
        }
        party.participant(&transcript)?.take_share(&transcript).map_err(internal)
    }

    /// Forgets the ceremony. Without a wait, so that it goes with the rows that were written before it.
    pub(super) fn wipe(&self, object: &State) -> Result<(), Problem> {
        self.0.borrow_mut().take();
        Ok(Log::open(object.storage().sql(), TABLE).wipe()?)
    }

    /// Forgets a ceremony of which no identity came.
    pub(super) fn forget_old(&self, object: &State) -> Result<(), Problem> {
        let log = Log::open(object.storage().sql(), TABLE);
        let begun = log.read::<Begun, Package>()?;
        match begun {
            Some((begun, _)) if platform::now_ms() >= begun.at_ms.saturating_add(KEPT_MS) => self.wipe(object),
            Some(_) | None => Ok(()),
        }
    }

    async fn get(&self, object: &State, env: &Env, role: HolderRole) -> Result<Option<Rc<Party>>, Problem> {
        if let Some(party) = self.0.borrow().clone() {
            return Ok(Some(party));
        }
        let config = config(env)?;
        let Some((begun, _)) = Log::open(object.storage().sql(), TABLE).read::<Begun, Package>()? else {
            return Ok(None);
        };
        let wrapped = hex::decode(&begun.wrapped_dek).map_err(damaged)?;
        let wrapped = WrappedDek { kek_id: begun.kek_id, wrapped };
        let dek = hsm::for_holder(&config, role)?.unwrap_dek(&wrapped).await?;
        if let Some(party) = self.0.borrow().clone() {
            return Ok(Some(party)); // woken by another call during the wait
        }
        // Read after the wait, which may have let others in.
        let log = Log::open(object.storage().sql(), TABLE);
        let Some((begun, packages)) = log.read::<Begun, Package>()? else { return Ok(None) };
        let terms = begun.terms.validate().map_err(damaged)?;
        let seed = begun.seed.open(&dek, &label(&terms, begun.number)?).map_err(damaged)?;
        let seed = seed.into_fixed().ok_or_else(|| damaged("a seed of another length"))?;
        let keys = keys(&config, role, seed)?;
        let mut transcript = Transcript::new(terms);
        for package in &packages {
            transcript.take(package).map_err(damaged)?;
        }
        let party =
            Party { number: begun.number, keys, log, transcript: RefCell::new(transcript), memory: RefCell::default() };
        Ok(Some(self.0.borrow_mut().insert(Rc::new(party)).clone()))
    }

    async fn begin(
        &self,
        object: &State,
        env: &Env,
        role: HolderRole,
        terms: &ValidTerms,
        number: u16,
    ) -> Result<Rc<Party>, Problem> {
        let config = config(env)?;
        let mut rng = platform::rng();
        let seed = Secret32::random(&mut rng);
        let dek = Dek::generate(&mut rng);
        let wrapped = hsm::for_holder(&config, role)?.wrap_dek(&dek, &mut rng).await?;
        if let Some(party) = self.0.borrow().clone() {
            return Ok(party); // another call was faster
        }
        let sealed = SealedBytes::seal(&dek, &label(terms, number)?, seed.expose_secret(), &mut rng);
        let keys = keys(&config, role, seed)?;
        check(terms, number, role, &keys)?;
        let begun = Begun {
            terms: (**terms).clone(),
            number,
            kek_id: wrapped.kek_id,
            wrapped_dek: hex::encode(wrapped.wrapped),
            seed: sealed.map_err(sealing)?,
            at_ms: platform::now_ms(),
        };
        let log = Log::open(object.storage().sql(), TABLE);
        log.append(0, &[begun])?;
        let party = Party {
            number,
            keys,
            log,
            transcript: RefCell::new(Transcript::new(terms.clone())),
            memory: RefCell::default(),
        };
        let party = self.0.borrow_mut().insert(Rc::new(party)).clone();
        let alarm = object.storage().set_alarm(std::time::Duration::from_millis(KEPT_MS)).await;
        alarm.map_err(|error| Problem::internal(error.to_string()))?;
        Ok(party)
    }
}

impl Party {
    /// Takes the packages that are new: the store first, and only then memory.
    fn take(&self, packages: &[Package]) -> Result<(), Problem> {
        let mut transcript = self.transcript.borrow().clone();
        // The first row says what was begun.
        let rows = 1 + transcript.packages().count();
        let mut new = Vec::new();
        for package in packages {
            let is_new = transcript.take(package).map_err(|error| unacceptable(&error.to_string()))?;
            if is_new {
                new.push(package);
            }
        }
        self.log.append(rows, &new)?;
        *self.transcript.borrow_mut() = transcript;
        Ok(())
    }

    fn answer(&self) -> Result<Option<Package>, Problem> {
        let transcript = self.transcript.borrow();
        let mut memory = self.memory.borrow_mut();
        self.participant(&transcript)?.answer(&transcript, &mut memory, &mut platform::rng()).map_err(internal)
    }

    fn participant(&self, transcript: &Transcript) -> Result<Participant<'_>, Problem> {
        Participant::new(transcript.terms().clone(), self.number, &self.keys, None).map_err(internal)
    }
}

fn keys(config: &Config, role: HolderRole, seed: Secret32) -> Result<PartyKeys, Problem> {
    config.party_keys(role, seed).ok_or_else(|| Problem::internal("a receiving key is unusable"))
}

/// The place has to be this holder's, in a keygen.
fn check(terms: &ValidTerms, number: u16, role: HolderRole, keys: &PartyKeys) -> Result<(), Problem> {
    let party = terms.party(number).ok_or_else(|| unacceptable("it has no such party"))?;
    let mine = party.signing == keys.signing_public() && party.receiving == keys.receiving_public();
    let seat = party.receives.is_some_and(|seat| seat.role == role);
    if mine && seat && terms.present().is_none() {
        Ok(())
    } else {
        Err(unacceptable("it names another holder in this one's place"))
    }
}

fn label(terms: &ValidTerms, number: u16) -> Result<Label<'_>, Problem> {
    let seat = terms.party(number).and_then(|party| party.receives);
    let holder = seat.ok_or_else(|| unacceptable("it has no such party"))?.index;
    Ok(Label { group: terms.group, holder, purpose: SEED, id: terms.digest() })
}

fn unacceptable(why: &str) -> Problem {
    Problem::invalid("ceremony_invalid", format!("A holder does not take part in this ceremony: {why}."))
}

fn internal(error: impl std::fmt::Display) -> Problem {
    Problem::internal(format!("a holder can't go on with its ceremony: {error}"))
}

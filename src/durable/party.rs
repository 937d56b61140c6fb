//! A server-side holder in a ceremony: its seed, sealed under a data key of its own, and all that was said so far. What
//! it has to say follows from those, so an eviction between any two steps costs nothing but the nonces in flight, which
//! are made anew.
//!
//! A keygen has it take part before it is a holder; its share is taken out when the owner creates the identity. New
//! shares of a key in use are dealt under the owner's word alone, and the holder changes over to its own in the commit
//! in which it learns that every holder has accepted. Until then it goes on with what it has.

use std::{cell::RefCell, rc::Rc};

use bunker_core::{
    event::Event,
    keys::PublicKey,
    members::Members,
    reshare::Reshare,
    session::{Entered, HolderState, Induction, Mutation, Step as Decided},
    statement::Statement,
};
use frost_wasm_core::{
    ceremony::{CeremonyId, Memory, Package, Participant, PartyKeys, Step, Terms, Transcript, ValidTerms},
    group::{GroupPublic, HolderRole},
    sealed::{Dek, Label, SealedBytes},
    secret::Secret32,
    share::KeyShare,
};
use serde::{Deserialize, Serialize};
use worker::{Env, State};

use super::{
    holder::{Holder, Slot, config, group_exists},
    lease,
    problems::{damaged, sealing},
    rows::Log,
    rpc::{CeremonyClient, PartyCall, PartyReply},
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
    /// The owner's word, where new shares are dealt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    word: Option<Event>,
    at_ms: u64,
}

/// A party that is awake.
pub(super) struct Party {
    number: u16,
    keys: PartyKeys,
    word: Option<Event>,
    log: Log,
    transcript: RefCell<Transcript>,
    memory: RefCell<Memory>,
}

/// Where a party lives.
#[derive(Clone, Copy)]
struct Place<'a> {
    object: &'a State,
    env: &'a Env,
    role: HolderRole,
}

/// Holds the party of an object while it is in memory.
#[derive(Default)]
pub(super) struct PartySlot(RefCell<Option<Rc<Party>>>);

impl PartySlot {
    /// Takes what the others said, and gives what this holder has to say.
    pub(super) async fn take_part(
        &self,
        object: &State,
        env: &Env,
        role: HolderRole,
        slot: &Slot,
        call: PartyCall,
    ) -> Result<PartyReply, Problem> {
        let terms = call.terms.validate().map_err(|error| unacceptable(&error.to_string()))?;
        let place = Place { object, env, role };
        let holder = slot.get(object, env, role)?;
        self.judge(place, holder.as_deref(), &terms).await?;
        let package = match (terms.present(), holder) {
            (None, None) => self.make(place, &terms, &call).await,
            (None, Some(_)) => Err(group_exists()),
            (Some(_), Some(holder)) => self.renew(place, slot, &holder, &terms, &call).await,
            // A cosigner that is new gets its first share here. What it is to do with it, the bunker tells it afterwards.
            (Some(_), None) if role == HolderRole::Cosigner => self.receive(place, &terms, &call).await,
            (Some(_), None) => Err(Problem::not_found("There is no such identity here. Check its id.")),
        };
        package.map(|package| PartyReply { package })
    }

    /// A ceremony makes or uses shares: under a seal nothing is said in it, and what was secret in memory goes.
    async fn judge(&self, place: Place<'_>, holder: Option<&Holder>, terms: &ValidTerms) -> Result<(), Problem> {
        let owner = match holder {
            Some(holder) => holder.state().identity().owner,
            None => first_person(terms)?,
        };
        let judged = lease::judge(place.object, place.env, &owner).await;
        if judged.as_ref().is_err_and(lease::is_seal) {
            self.0.borrow_mut().take();
        }
        judged
    }

    /// A key that is made.
    async fn make(&self, place: Place<'_>, terms: &ValidTerms, call: &PartyCall) -> Result<Option<Package>, Problem> {
        let party = match self.get(place).await? {
            Some(party) => party,
            None => self.begin(place, terms, call.number, None).await?,
        };
        if !party.is_of(terms) {
            return Err(Problem::new(
                409,
                "ceremony_pending",
                "Another ceremony makes a key under this id. Begin again with a new id.",
            ));
        }
        party.take(&call.packages)?;
        party.answer(None)
    }

    /// A first share of a key in use.
    async fn receive(
        &self,
        place: Place<'_>,
        terms: &ValidTerms,
        call: &PartyCall,
    ) -> Result<Option<Package>, Problem> {
        let party = match self.get(place).await? {
            Some(party) if party.is_of(terms) => party,
            other => {
                if let Some(other) = other {
                    self.drop_unfinished(place, &other).await?;
                }
                self.begin(place, terms, call.number, None).await?
            }
        };
        party.take(&call.packages)?;
        party.answer(None)
    }

    /// What this holder, that is none yet, got in an earlier renewal goes if nothing came of that.
    async fn drop_unfinished(&self, place: Place<'_>, party: &Party) -> Result<(), Problem> {
        let terms = party.transcript.borrow().terms().clone();
        let ended = CeremonyClient::of(place.env, &terms.ceremony)?.give_up(party.number).await?;
        if ended.is_some_and(|ended| ended.is_verified) {
            let detail = "This holder has a share of an earlier renewal, which the bunker has to tell it of first.";
            return Err(Problem::unavailable(detail.to_owned()));
        }
        self.wipe(place.object)
    }

    /// New shares of the key that this holder has one of.
    async fn renew(
        &self,
        place: Place<'_>,
        slot: &Slot,
        holder: &Holder,
        terms: &ValidTerms,
        call: &PartyCall,
    ) -> Result<Option<Package>, Problem> {
        let begun = self.get(place).await?;
        let is_entered = holder.state().has_entered(terms);
        let party = match begun {
            Some(party) if party.is_of(terms) => party,
            None if is_entered => return Ok(None), // told again
            other => {
                holder.state().may_reshare(terms, platform::now_ms())?;
                if let Some(other) = other {
                    self.leave(place, slot, holder, &other).await?;
                }
                // Asked again: that one may have come to its end.
                let word = holder.state().may_reshare(terms, platform::now_ms())?.statement().clone();
                self.begin(place, terms, call.number, Some(word)).await?
            }
        };
        party.take(&call.packages)?;
        if party.transcript.borrow().step() == Step::Verified {
            return self.change_over(place, slot, holder, &party).await.map(|()| None);
        }
        // Asked each time: the owner may have taken the word back, or the export that it needs.
        holder.state().may_reshare(terms, platform::now_ms())?;
        let opened = holder.open(place.object, place.env).await?;
        party.answer(Some(&opened.share()))
    }

    /// The owner asked for another ceremony since. Others may have accepted what came out of this one, and act on it: its
    /// coordinator decides, once for all, whether it ends or has ended with new shares.
    async fn leave(&self, place: Place<'_>, slot: &Slot, holder: &Holder, party: &Party) -> Result<(), Problem> {
        let terms = party.transcript.borrow().terms().clone();
        let ended = CeremonyClient::of(place.env, &terms.ceremony)?.give_up(party.number).await?;
        let is_still_there = self.get(place).await?.is_some_and(|it| it.is_of(&terms));
        match ended.filter(|ended| ended.is_verified) {
            _ if !is_still_there => Ok(()), // another call was faster
            Some(ended) => {
                party.take(&ended.packages)?;
                self.change_over(place, slot, holder, party).await
            }
            None => self.wipe(place.object),
        }
    }

    /// Every holder has accepted: this one goes on with its new share, or has none any more.
    async fn change_over(&self, place: Place<'_>, slot: &Slot, holder: &Holder, party: &Party) -> Result<(), Problem> {
        let word = party.word.clone().ok_or_else(|| damaged("new shares without the owner's word"))?;
        let opened = holder.open(place.object, place.env).await?;
        let Decided { mutations, effect } = {
            let (state, transcript) = (holder.state(), party.transcript.borrow());
            let said = Reshare::restore(word.clone(), &state.identity().owner, state.group()).map_err(damaged)?;
            state.enter_epoch(&said, &transcript, platform::now_ms())?
        };
        match effect {
            Entered::Seated => {
                let share = {
                    let transcript = party.transcript.borrow();
                    let present = opened.share();
                    party.participant(&transcript, Some(&present))?.take_share(&transcript).map_err(internal)?
                };
                holder.enter_epoch(&opened, share, &mutations)?;
                self.wipe(place.object)
            }
            Entered::Retired => {
                self.wipe(place.object)?;
                slot.wipe(place.object, holder, &[Mutation::Deleted(Box::new(word.clone()))], &word).await
            }
        }
    }

    /// The share that came out of a ceremony, for the identity that its owner now creates.
    pub(super) async fn share(
        &self,
        object: &State,
        env: &Env,
        role: HolderRole,
        ceremony: &CeremonyId,
        owner: &PublicKey,
        (public, members): (&GroupPublic, &Members),
    ) -> Result<KeyShare, Problem> {
        let party = self.get(Place { object, env, role }).await?.ok_or_else(unfinished)?;
        let transcript = party.transcript.borrow();
        if transcript.terms().ceremony != *ceremony || transcript.step() != Step::Verified {
            return Err(unfinished());
        }
        let terms = transcript.terms();
        if first_person(terms)? != *owner {
            return Err(unacceptable("its owner is not the first person who took part"));
        }
        if Members::of_terms(terms, owner) != *members {
            return Err(unacceptable("other people took part than the statement says"));
        }
        if transcript.group().is_none_or(|group| **group != *public) {
            return Err(unacceptable("another group came out of it"));
        }
        party.participant(&transcript, None)?.take_share(&transcript).map_err(internal)
    }

    /// What a cosigner that is new becomes, by the owner's words and its share of the renewal that they name.
    pub(super) async fn inducted(
        &self,
        object: &State,
        env: &Env,
        role: HolderRole,
        created: &Statement,
        induction: &Induction,
    ) -> Result<(HolderState, Vec<Mutation>, KeyShare), Problem> {
        let party = self.get(Place { object, env, role }).await?.ok_or_else(unfinished)?;
        let transcript = party.transcript.borrow();
        let share = party.participant(&transcript, None)?.take_share(&transcript).map_err(|_| unfinished())?;
        let now_ms = platform::now_ms();
        let (state, mutations) = HolderState::inducted(created, induction, &transcript, share.index(), now_ms)?;
        Ok((state, mutations, share))
    }

    /// Forgets the ceremony. Without a wait, so that it goes with the rows that were written before it.
    pub(super) fn wipe(&self, object: &State) -> Result<(), Problem> {
        self.0.borrow_mut().take();
        Ok(Log::open(object.storage().sql(), TABLE).wipe()?)
    }

    /// Wraps the data key of a ceremony under way under the present KEK, if it is not.
    pub(super) async fn rewrap(&self, object: &State, env: &Env, role: HolderRole) -> Result<(), Problem> {
        let log = Log::open(object.storage().sql(), TABLE);
        let Some((begun, _)) = log.read::<Begun, Package>()? else { return Ok(()) };
        let wrapped = hex::decode(&begun.wrapped_dek).map_err(damaged)?;
        let hsm = hsm::for_holder(&*config(env)?, role)?;
        let Some(rewrapped) = hsm.rewrap(&begun.kek_id, &wrapped).await? else { return Ok(()) };
        // The wait let others in: that ceremony may be over.
        match log.read::<Begun, Package>()? {
            Some((present, _)) if present.wrapped_dek == begun.wrapped_dek => {
                let (kek_id, wrapped_dek) = (rewrapped.kek_id, hex::encode(rewrapped.wrapped));
                Ok(log.replace_first(&Begun { kek_id, wrapped_dek, ..present })?)
            }
            Some(_) | None => Ok(()),
        }
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

    async fn get(&self, Place { object, env, role }: Place<'_>) -> Result<Option<Rc<Party>>, Problem> {
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
        let party = Party {
            number: begun.number,
            keys,
            word: begun.word,
            log,
            transcript: RefCell::new(transcript),
            memory: RefCell::default(),
        };
        Ok(Some(self.0.borrow_mut().insert(Rc::new(party)).clone()))
    }

    async fn begin(
        &self,
        Place { object, env, role }: Place<'_>,
        terms: &ValidTerms,
        number: u16,
        word: Option<Event>,
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
            word: word.clone(),
            at_ms: platform::now_ms(),
        };
        let log = Log::open(object.storage().sql(), TABLE);
        log.append(0, &[begun])?;
        let party = Party {
            number,
            keys,
            word,
            log,
            transcript: RefCell::new(Transcript::new(terms.clone())),
            memory: RefCell::default(),
        };
        let party = self.0.borrow_mut().insert(Rc::new(party)).clone();
        // Who deals under the owner's word is a holder already, and its own alarm comes by anyway.
        if party.word.is_none() {
            let alarm = object.storage().set_alarm(std::time::Duration::from_millis(KEPT_MS)).await;
            alarm.map_err(|error| Problem::internal(error.to_string()))?;
        }
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

    fn is_of(&self, terms: &ValidTerms) -> bool {
        self.transcript.borrow().terms().digest() == terms.digest()
    }

    fn answer(&self, present: Option<&KeyShare>) -> Result<Option<Package>, Problem> {
        let transcript = self.transcript.borrow();
        let mut memory = self.memory.borrow_mut();
        self.participant(&transcript, present)?.answer(&transcript, &mut memory, &mut platform::rng()).map_err(internal)
    }

    fn participant<'a>(
        &'a self,
        transcript: &Transcript,
        present: Option<&'a KeyShare>,
    ) -> Result<Participant<'a>, Problem> {
        Participant::new(transcript.terms().clone(), self.number, &self.keys, present).map_err(internal)
    }
}

/// Who begins a key owns it.
fn first_person(terms: &ValidTerms) -> Result<PublicKey, Problem> {
    let first = terms.parties.iter().find(|it| terms.holder_of(it).is_some_and(|seat| !seat.role.is_on_server()));
    let first = first.ok_or_else(|| unacceptable("no person takes part in it"))?;
    Ok(PublicKey::from_bytes(*first.signing.as_bytes()))
}

fn keys(config: &Config, role: HolderRole, seed: Secret32) -> Result<PartyKeys, Problem> {
    config.party_keys(role, seed).ok_or_else(|| Problem::internal("a receiving key is unusable"))
}

/// The place has to be this holder's.
fn check(terms: &ValidTerms, number: u16, role: HolderRole, keys: &PartyKeys) -> Result<(), Problem> {
    let party = terms.party(number).ok_or_else(|| unacceptable("it has no such party"))?;
    let mine = party.signing == keys.signing_public() && party.receiving == keys.receiving_public();
    let is_here = terms.holder_of(party).is_some_and(|seat| seat.role == role);
    if mine && is_here { Ok(()) } else { Err(unacceptable("it names another holder in this one's place")) }
}

fn label(terms: &ValidTerms, number: u16) -> Result<Label<'_>, Problem> {
    let seat = terms.party(number).and_then(|party| terms.holder_of(party));
    let holder = seat.ok_or_else(|| unacceptable("it has no such party"))?.index;
    Ok(Label { group: terms.group, holder, purpose: SEED, id: terms.digest() })
}

fn unacceptable(why: &str) -> Problem {
    Problem::invalid("ceremony_invalid", format!("A holder does not take part in this ceremony: {why}."))
}

fn unfinished() -> Problem {
    let detail = "This holder has no finished ceremony of that id. Take part until it is verified.";
    Problem::new(409, "ceremony_unfinished", detail)
}

fn internal(error: impl std::fmt::Display) -> Problem {
    Problem::internal(format!("a holder can't go on with its ceremony: {error}"))
}

//! Before the terms: those who are invited come one after the other, each with the keys to which its values are
//! sealed. Once the last has come the terms stand, and the [`Coordinator`] takes over.
//!
//! A party's own package is signed over the terms, its keys included; so nobody can put another key in its place
//! without every package of that party being refused by the others.

use serde::{Deserialize, Serialize};
use sha2::Digest;

use super::{
    coordinator::{Coordinator, CoordinatorRefused, End, Limits, Mutation},
    package::Package,
    terms::{CeremonyId, Kind, Party, Seat, Terms, TermsError, VERSION},
};
use crate::{
    group::{GroupId, HolderIndex},
    hash::tagged,
    point::XOnlyKey,
    provision::ReceivingPublic,
};

/// One who is invited: a [`Party`], perhaps without the key that it will come with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invited {
    /// Its number, from 1.
    pub number: u16,
    /// The key under which it speaks.
    pub signing: XOnlyKey,
    /// The key to which its values are sealed, once it is known.
    pub receiving: Option<ReceivingPublic>,
    /// As in [`Party`].
    pub deals: Option<HolderIndex>,
    /// As in [`Party`].
    pub receives: Option<Seat>,
}

/// What everybody is invited to: [`Terms`] that may lack keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// This run.
    pub ceremony: CeremonyId,
    /// What comes out of it.
    pub purpose: Kind,
    /// The group that is made or goes on.
    pub group: GroupId,
    /// Its epoch afterwards.
    pub epoch: u32,
    /// How many holders act together afterwards.
    pub threshold: u16,
    /// Who is invited, by ascending number.
    pub parties: Vec<Invited>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A party came with its key.
    Joined {
        /// Its number.
        party: u16,
        /// Its key.
        receiving: ReceivingPublic,
        /// When, Unix milliseconds.
        at_ms: u64,
    },
    /// A party ended it before it began.
    CalledOff {
        /// Its number.
        by: u16,
        /// When, Unix milliseconds.
        at_ms: u64,
    },
    /// Not everybody came in time.
    NotMet {
        /// When, Unix milliseconds.
        at_ms: u64,
    },
    /// The ceremony itself went on.
    Run(Mutation),
}

/// Why an input was refused. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MeetingRefused {
    /// Nobody is invited under this number.
    #[error("nobody is invited as party {0}")]
    NotInvited(u16),
    /// This party came with another key before.
    #[error("party {0} joined with another key before")]
    Altered(u16),
    /// Another party has this key.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// Not everybody has come yet.
    #[error("round 1 begins when everybody has joined")]
    NotMet,
    /// It is over.
    #[error("the ceremony is over")]
    Over,
    /// The ceremony refuses it.
    #[error(transparent)]
    Run(#[from] CoordinatorRefused),
}

/// A ceremony from its invitation to its end, as the one who coordinates it has it.
#[derive(Debug, Clone)]
pub struct Meeting {
    invitation: Invitation,
    limits: Limits,
    since_ms: u64,
    run: Option<Coordinator>,
    /// Set when it ended before it began, with when.
    cut: Option<(End, u64)>,
}

impl Invitation {
    /// The holder that somebody is afterwards, or was before if it gets no share.
    #[must_use]
    pub fn holder_of(&self, it: &Invited) -> Option<Seat> {
        self.purpose.holder_of(it.deals, it.receives)
    }

    /// The terms with those who have come, and a key that nobody has in place of each that is missing.
    fn terms(&self) -> Terms {
        let absent = |number: u16| {
            let hash = tagged("passport/v1/ceremony/absent").chain_update(number.to_be_bytes());
            ReceivingPublic::from_bytes(hash.finalize().into())
        };
        let parties = self.parties.iter().map(|it| Party {
            number: it.number,
            signing: it.signing,
            receiving: it.receiving.unwrap_or_else(|| absent(it.number)),
            deals: it.deals,
            receives: it.receives,
        });
        Terms {
            v: VERSION,
            ceremony: self.ceremony,
            purpose: self.purpose.clone(),
            group: self.group,
            epoch: self.epoch,
            threshold: self.threshold,
            parties: parties.collect(),
        }
    }

    fn is_complete(&self) -> bool {
        self.parties.iter().all(|party| party.receiving.is_some())
    }

    fn set(&mut self, party: u16, receiving: ReceivingPublic) {
        let invited = self.parties.iter_mut().find(|it| it.number == party);
        invited.into_iter().for_each(|it| it.receiving = Some(receiving));
    }
}

impl Meeting {
    /// Begins to wait, or the ceremony itself if every key is known.
    ///
    /// # Errors
    /// When no group can come out of it, whoever comes.
    pub fn start(invitation: Invitation, limits: Limits, now_ms: u64) -> Result<Self, TermsError> {
        invitation.terms().validate()?;
        let mut meeting = Self { invitation, limits, since_ms: now_ms, run: None, cut: None };
        meeting.begin_if_complete(now_ms);
        Ok(meeting)
    }

    /// A party comes with its key. The same again gives no change.
    pub fn join(&self, party: u16, receiving: ReceivingPublic, now_ms: u64) -> Result<Vec<Change>, MeetingRefused> {
        let invited = self.invitation.parties.iter().find(|it| it.number == party);
        match invited.ok_or(MeetingRefused::NotInvited(party))?.receiving {
            Some(before) if before == receiving => return Ok(Vec::new()),
            Some(_) => return Err(MeetingRefused::Altered(party)),
            None => {}
        }
        if self.end().is_some() || self.is_late(now_ms) {
            return Err(MeetingRefused::Over);
        }
        let mut joined = self.invitation.clone();
        joined.set(party, receiving);
        joined.terms().validate()?;
        Ok(vec![Change::Joined { party, receiving, at_ms: now_ms }])
    }

    /// Takes a package from an authenticated sender. The same again gives no change.
    pub fn submit(&self, sender: u16, package: &Package, now_ms: u64) -> Result<Vec<Change>, MeetingRefused> {
        match &self.run {
            Some(run) => Ok(run.submit(sender, package, now_ms)?.into_iter().map(Change::Run).collect()),
            None if self.cut.is_some() => Err(MeetingRefused::Over),
            None => Err(MeetingRefused::NotMet),
        }
    }

    /// A party ends it, unless it has ended.
    pub fn cancel(&self, by: u16, now_ms: u64) -> Result<Vec<Change>, MeetingRefused> {
        match &self.run {
            Some(run) => Ok(run.cancel(by, now_ms)?.into_iter().map(Change::Run).collect()),
            None if self.cut.is_some() => Err(MeetingRefused::Over),
            None => Ok(vec![Change::CalledOff { by, at_ms: now_ms }]),
        }
    }

    /// The clock moved on.
    #[must_use]
    pub fn tick(&self, now_ms: u64) -> Vec<Change> {
        match &self.run {
            Some(run) => run.tick(now_ms).into_iter().map(Change::Run).collect(),
            None if self.is_late(now_ms) => vec![Change::NotMet { at_ms: now_ms }],
            None => Vec::new(),
        }
    }

    /// Applies a change. Total.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Joined { party, receiving, at_ms } => {
                self.invitation.set(*party, *receiving);
                self.begin_if_complete(*at_ms);
            }
            Change::CalledOff { by, at_ms } => self.cut = Some((End::Cancelled { by: *by }, *at_ms)),
            Change::NotMet { at_ms } => self.cut = Some((End::Expired { silent: self.waits_for() }, *at_ms)),
            Change::Run(mutation) => self.run.iter_mut().for_each(|run| run.apply(mutation)),
        }
    }

    /// What everybody is invited to, with the keys of those who have come.
    #[must_use]
    pub fn invitation(&self) -> &Invitation {
        &self.invitation
    }

    /// The ceremony, once everybody has come.
    #[must_use]
    pub fn run(&self) -> Option<&Coordinator> {
        self.run.as_ref()
    }

    /// Who is awaited: to come, or to speak.
    #[must_use]
    pub fn waits_for(&self) -> Vec<u16> {
        match &self.run {
            _ if self.end().is_some() => Vec::new(),
            Some(run) => run.transcript().waits_for(),
            None => {
                let absent = self.invitation.parties.iter().filter(|party| party.receiving.is_none());
                absent.map(|party| party.number).collect()
            }
        }
    }

    /// How it ended.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        match &self.run {
            Some(run) => run.end(),
            None => self.cut.as_ref().map(|(end, _)| end.clone()),
        }
    }

    /// When something is due by the clock, Unix milliseconds.
    #[must_use]
    pub fn due_ms(&self) -> u64 {
        match (&self.run, &self.cut) {
            (Some(run), _) => run.due_ms(),
            (None, Some((_, ended_at_ms))) => ended_at_ms.saturating_add(self.limits.kept_ms),
            (None, None) => self.since_ms.saturating_add(self.limits.round_ms),
        }
    }

    /// Whether the result was there long enough.
    #[must_use]
    pub fn is_to_be_wiped(&self, now_ms: u64) -> bool {
        self.end().is_some() && now_ms >= self.due_ms()
    }

    fn is_late(&self, now_ms: u64) -> bool {
        self.run.is_none() && self.cut.is_none() && now_ms >= self.due_ms()
    }

    fn begin_if_complete(&mut self, now_ms: u64) {
        if self.run.is_none() && self.cut.is_none() && self.invitation.is_complete() {
            // Checked with this key before the change was made.
            let terms = self.invitation.terms().validate().ok();
            self.run = terms.map(|terms| Coordinator::start(terms, self.limits, now_ms));
        }
    }
}

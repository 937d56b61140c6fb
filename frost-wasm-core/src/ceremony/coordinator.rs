//! The coordinator: takes packages from those who may send them, keeps deadlines, and ends the run.
//!
//! Steps give mutations and change nothing; [`Coordinator::apply`] is total and the only writer. Whoever stores the
//! mutations in order and applies them again has the coordinator that it was.

use serde::{Deserialize, Serialize};

use super::{
    package::Package,
    terms::ValidTerms,
    transcript::{Failure, Refused, Step, Transcript},
};

/// How long things take at most, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// For one round.
    pub round_ms: u64,
    /// For reading the result, after the end.
    pub kept_ms: u64,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mutation {
    /// A package was taken. When it completed a round, the next one's time starts at `at_ms`.
    Taken {
        /// The package.
        package: Box<Package>,
        /// When, Unix milliseconds.
        at_ms: u64,
    },
    /// A party ended the run.
    Cancelled {
        /// Its number.
        by: u16,
        /// When, Unix milliseconds.
        at_ms: u64,
    },
    /// A round was not complete in time.
    Expired {
        /// When, Unix milliseconds.
        at_ms: u64,
    },
}

impl Mutation {
    fn at_ms(&self) -> u64 {
        match self {
            Self::Taken { at_ms, .. } | Self::Cancelled { at_ms, .. } | Self::Expired { at_ms } => *at_ms,
        }
    }
}

/// How a run ended. All of it is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Every holder has checked the group and accepted it.
    Verified,
    /// It failed, with those to blame.
    Failed(Failure),
    /// This party ended it.
    Cancelled {
        /// Its number.
        by: u16,
    },
    /// These were silent until the round's time was over.
    Expired {
        /// Their numbers.
        silent: Vec<u16>,
    },
}

/// Why an input was refused. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoordinatorRefused {
    /// The sender is not the party that the package is said to be of.
    #[error("party {sender} sent a package of party {party}")]
    OtherSender {
        /// Who sent it, as its token says.
        sender: u16,
        /// Of whom it is said to be.
        party: u16,
    },
    /// It was cancelled, or its time is over.
    #[error("the ceremony is over")]
    Over,
    /// The package is refused.
    #[error(transparent)]
    Package(#[from] Refused),
}

/// One run, as its coordinator has it.
#[derive(Debug, Clone)]
pub struct Coordinator {
    transcript: Transcript,
    limits: Limits,
    round_since_ms: u64,
    /// Set when it was cancelled or expired; otherwise the transcript says how it ended.
    cut: Option<End>,
    ended_at_ms: Option<u64>,
}

impl Coordinator {
    /// Starts a run.
    #[must_use]
    pub fn start(terms: ValidTerms, limits: Limits, now_ms: u64) -> Self {
        Self { transcript: Transcript::new(terms), limits, round_since_ms: now_ms, cut: None, ended_at_ms: None }
    }

    /// Takes a package from an authenticated sender. The same again gives no mutation.
    pub fn submit(&self, sender: u16, package: &Package, now_ms: u64) -> Result<Vec<Mutation>, CoordinatorRefused> {
        if sender != package.party {
            return Err(CoordinatorRefused::OtherSender { sender, party: package.party });
        }
        // What was said is said, also when it is over: a retry gets the same answer.
        let known = self.transcript.said(package.round, sender) == Some(package);
        if !known && (self.cut.is_some() || self.is_late(now_ms)) {
            return Err(CoordinatorRefused::Over);
        }
        let new = self.transcript.examine(package)?.is_some();
        let taken = Mutation::Taken { package: Box::new(package.clone()), at_ms: now_ms };
        Ok(if new { vec![taken] } else { Vec::new() })
    }

    /// A party ends the run, unless it has ended.
    pub fn cancel(&self, by: u16, now_ms: u64) -> Result<Vec<Mutation>, CoordinatorRefused> {
        if self.end().is_some() {
            Err(CoordinatorRefused::Over)
        } else {
            Ok(vec![Mutation::Cancelled { by, at_ms: now_ms }])
        }
    }

    /// The clock moved on.
    #[must_use]
    pub fn tick(&self, now_ms: u64) -> Vec<Mutation> {
        if self.end().is_none() && self.is_late(now_ms) {
            vec![Mutation::Expired { at_ms: now_ms }]
        } else {
            Vec::new()
        }
    }

    /// Applies one change. Every check was made by the step that gave it.
    pub fn apply(&mut self, mutation: &Mutation) {
        let (before, at_ms) = (self.transcript.round(), mutation.at_ms());
        match mutation {
            // A package that was taken once is taken again.
            Mutation::Taken { package, .. } => drop(self.transcript.take(package)),
            Mutation::Cancelled { by, .. } => self.cut = Some(End::Cancelled { by: *by }),
            Mutation::Expired { .. } => self.cut = Some(End::Expired { silent: self.transcript.waits_for() }),
        }
        if self.transcript.round() != before {
            self.round_since_ms = at_ms;
        }
        if self.end().is_some() {
            self.ended_at_ms.get_or_insert(at_ms);
        }
    }

    /// What was said.
    #[must_use]
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// How it ended.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        let said = match self.transcript.step() {
            Step::Verified => Some(End::Verified),
            Step::Failed => self.transcript.failure().cloned().map(End::Failed),
            _ => None,
        };
        self.cut.clone().or(said)
    }

    /// When something is due by the clock, Unix milliseconds: the round is over, or the result is wiped.
    #[must_use]
    pub fn due_ms(&self) -> u64 {
        match self.ended_at_ms {
            Some(at_ms) => at_ms.saturating_add(self.limits.kept_ms),
            None => self.round_since_ms.saturating_add(self.limits.round_ms),
        }
    }

    /// Whether the result was there long enough.
    #[must_use]
    pub fn is_to_be_wiped(&self, now_ms: u64) -> bool {
        self.ended_at_ms.is_some() && now_ms >= self.due_ms()
    }

    fn is_late(&self, now_ms: u64) -> bool {
        self.ended_at_ms.is_none() && now_ms >= self.due_ms()
    }
}

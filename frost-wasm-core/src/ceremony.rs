//! Ceremonies: runs of a protocol among parties that are online now and then, through a coordinator that nobody has
//! to trust.
//!
//! - [`Terms`] say what the ceremony is for and who takes part. Everything that a party signs is bound to them.
//! - A [`Meeting`](meeting::Meeting) waits until everybody who is invited has come with a key, which makes the terms.
//! - A [`Package`] is what one party says in one round, signed with its ceremony key.
//! - A [`Transcript`] is what was said so far. It decides what is due next, refuses what does not belong, and blames.
//!   Coordinator and parties run the same one, each over what it has seen.
//! - A [`Coordinator`](coordinator::Coordinator) keeps a transcript, deadlines and the end. It is trusted with nothing but
//!   being there.
//! - A [`Participant`] answers a transcript. All that it has to keep is a seed: its polynomial and its sealing
//!   randomness come from that, so a party that was killed between any two steps says the same again, byte for byte.
//!   Signing nonces alone are never made again: a party that lost them says so, and the proof begins anew.
//!
//! Rounds of a keygen or reshare: every dealer **deals** (commitment, proof of knowledge), then **shares** (sealed
//! values, with the deals as it saw them); every receiver **confirms** its share and commits to nonces, **proves** it
//! by signing with each set of holders, checks all the signatures, and **accepts**. Five rounds when nobody fails.
//! A complaint in place of a confirmation has the accused **answer** in public, and names who lied.

pub mod coordinator;
pub mod meeting;
mod package;
mod participant;
mod sealing;
mod terms;
mod transcript;
mod verification;

pub use package::{Body, Digest32, Package, PackageError, PackageSignature, PartyKeys, Shown};
pub use participant::{Memory, Participant, ParticipantError};
pub use terms::{CeremonyId, Kind, Party, Seat, Terms, TermsError, VERSION, ValidTerms};
pub use transcript::{Failure, Refused, Step, Transcript};
pub use verification::{MAX_SETS, Proof};

//! What goes wrong in an object, as the Worker passes it on.

use bunker_core::{
    export::ExportRefused,
    session::{InductionRefused, ReshareRefused, StatementRefused},
};
use frost_wasm_core::sealed::SealError;

use super::store::StoreError;
use crate::{problem::Problem, telemetry};

/// Code of an identity that its owner deleted.
pub(super) const DELETED: &str = "group_deleted";

/// Code of an identity of which what is stored can't be read.
pub(super) const DAMAGED: &str = "storage_corrupt";

/// The identity was here, and its owner ended it.
pub(super) fn deleted() -> Problem {
    Problem::new(410, DELETED, "This identity was deleted by its owner. Nothing of it is kept here.")
}

impl From<ExportRefused> for Problem {
    fn from(refused: ExportRefused) -> Self {
        match refused {
            ExportRefused::NotRequested => Self::new(409, "no_export", "No export is under way. Ask for one first."),
            ExportRefused::TooEarly { ready_at_ms } => Self::new(
                409,
                "export_too_early",
                format!("The delay is not over: come again after {} (Unix seconds).", ready_at_ms.div_ceil(1000)),
            ),
        }
    }
}

/// Code of new shares that the owner has not asked a holder for, or not yet.
pub(super) const RESHARE_NOT_ASKED: &str = "reshare_not_asked";

impl From<InductionRefused> for Problem {
    fn from(refused: InductionRefused) -> Self {
        Self::invalid("ceremony_invalid", format!("A new cosigner does not become one by this: {refused}."))
    }
}

impl From<ReshareRefused> for Problem {
    fn from(refused: ReshareRefused) -> Self {
        let detail = format!("A holder takes no part in dealing new shares: {refused}.");
        match refused {
            ReshareRefused::NotAsked => Self::new(409, RESHARE_NOT_ASKED, detail),
            ReshareRefused::OtherEpoch { .. } => Self::new(409, "other_epoch", detail),
            ReshareRefused::NeedsExport => Self::new(409, "export_needed", detail),
            ReshareRefused::NotVerified => Self::new(409, "ceremony_unfinished", detail),
            ReshareRefused::OtherPlace(_)
            | ReshareRefused::OtherPerson(_)
            | ReshareRefused::Custody
            | ReshareRefused::Members(_) => Self::invalid("ceremony_invalid", detail),
        }
    }
}

pub(super) fn bad_package(error: impl std::fmt::Display) -> Problem {
    let detail = format!("A package for this holder does not open: {error}. Seal it to the keys of GET /holders.");
    Problem::invalid("package_invalid", detail)
}

pub(super) fn sealing(error: SealError) -> Problem {
    Problem::internal(format!("sealing failed: {error}"))
}

pub(super) fn damaged(cause: impl std::fmt::Display) -> Problem {
    let detail =
        "What is stored for this identity is damaged, so nothing is answered. Ask the operator to look into it.";
    Problem::new(500, DAMAGED, detail).caused_by(cause.to_string())
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Failed(cause) => Self::unavailable(cause),
            StoreError::Deleted => deleted(),
            StoreError::Corrupt { what, cause } => damaged(format!("{what}: {cause}")),
        }
    }
}

impl From<StatementRefused> for Problem {
    fn from(refused: StatementRefused) -> Self {
        use StatementRefused as It;
        let (status, code) = match refused {
            It::NotTheOwner => (403, "not_the_owner"),
            It::OtherGroup => (422, "statement_invalid"),
            It::NotNewer { .. } => (409, "statement_not_newer"),
            It::KeyOfTheGroup => (422, "statement_invalid"),
            It::WrongMoment => (409, "group_exists"),
            It::NotAHolder | It::Members(_) => (422, "statement_invalid"),
            It::ConnectionExists => (409, "connection_exists"),
            It::NoSuchConnection => (404, "not_found"),
            It::TooManyConnections => (409, "too_many_connections"),
            It::ConnectionEnded => (409, "connection_ended"),
            It::NoSuchRequest => (404, "no_such_request"),
            It::OtherRequest => (422, "statement_misplaced"),
            It::TooManyAllowances => (409, "too_many_allowances"),
            It::ExportPending => (409, "export_pending"),
            It::NoExport => (409, "no_export"),
            It::Deleted => (410, "group_deleted"),
        };
        Self::new(status, code, sentence(&refused))
    }
}

/// A refusal of a core's as a sentence.
pub(super) fn sentence(refused: &impl std::fmt::Display) -> String {
    let mut text = format!("{refused}.");
    if let Some(first) = text.get(..1).map(str::to_uppercase) {
        text.replace_range(..1, &first);
    }
    text
}

/// Logs a problem where nobody waits for an answer, and tells the platform to try again.
pub(super) fn failed(problem: Problem) -> worker::Error {
    telemetry::unanswered(&problem);
    worker::Error::RustError(problem.code().to_owned())
}

//! Bodies of `/keys/{group}/activity`.

use bunker_core::audit::{AuditHead, AuditRecord};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::schema::{AuditHeadSchema, AuditRecordSchema};
use crate::problem::Problem;

/// Query of `GET /keys/{group}/activity`
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ActivityQuery {
    /// Give records after this one; 0 is the start.
    #[serde(default)]
    pub after: u64,
    /// How many at most, 1 to 200.
    #[serde(default = "ActivityQuery::default_limit")]
    #[param(minimum = 1, maximum = 200)]
    pub limit: u32,
}

impl ActivityQuery {
    /// Most records in one answer: about 64 KiB.
    const LIMIT_MAX: u32 = 200;

    const fn default_limit() -> u32 {
        50
    }

    /// The query, if so many can be given.
    ///
    /// # Errors
    /// `query_invalid`
    pub fn checked(self) -> Result<Self, Problem> {
        if (1..=Self::LIMIT_MAX).contains(&self.limit) {
            Ok(self)
        } else {
            Err(Problem::invalid("query_invalid", "Ask for 1 to 200 records with `limit`."))
        }
    }
}

/// Answer to `GET /keys/{group}/activity`
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ActivityPage {
    /// Oldest first.
    #[schema(value_type = Vec<AuditRecordSchema>)]
    pub records: Vec<AuditRecord>,
    /// The end of the chain, to hold the pages against.
    #[schema(value_type = AuditHeadSchema)]
    pub head: AuditHead,
    /// `after` of the next page, if there is one.
    pub next: Option<u64>,
}

//! Path and query parameters, parsed at the edge. An id of the wrong form names nothing: 404.

use axum::extract::{FromRequestParts, Path, Query};
use bunker_core::grant::ConnectionId;
use frost_wasm_core::group::GroupId;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// `{group}` of a path.
#[derive(Debug, Clone, Copy)]
pub struct GroupPath(pub GroupId);

impl<S: Send + Sync> FromRequestParts<S> for GroupPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(group) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| no_such_key())?;
        group.parse().map(Self).map_err(|_| no_such_key())
    }
}

/// `{group}` and `{connection}` of a path.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionPath {
    /// The group.
    pub group: GroupId,
    /// One of its connections.
    pub connection: ConnectionId,
}

impl<S: Send + Sync> FromRequestParts<S> for ConnectionPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path((group, connection)) =
            Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| no_such_key())?;
        Ok(Self {
            group: group.parse().map_err(|_| no_such_key())?,
            connection: connection.parse().map_err(|_| Problem::not_found("This key has no such connection."))?,
        })
    }
}

/// Query parameters.
#[derive(Debug, Clone, Copy)]
pub struct QueryParams<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for QueryParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri).map(|Query(query)| Self(query)).map_err(|_| {
            Problem::invalid(
                "query_invalid",
                "A query parameter is unknown or not of the form it has. See /openapi.json.",
            )
        })
    }
}

/// The one answer for groups that don't exist and groups of others.
pub fn no_such_key() -> Problem {
    Problem::not_found("This account has no such key. GET /keys lists those it has.")
}

//! The store on D1. Every statement is prepared and bound; nothing is pasted into SQL.
//!
//! Atomicity: a batch is one transaction. Compare-and-set is an `UPDATE … WHERE` whose number of
//! changed rows is read back. Millisecond times are bound as reals, because the driver's integers
//! have 32 bits.

mod accounts;
mod ceremonies;
mod keys;
mod members;
mod passkeys;

use serde::de::DeserializeOwned;
use worker::D1Database;
use worker::d1::{D1PreparedStatement, D1Result, D1Type};

use super::StorageError;
pub use ceremonies::Named;
pub use members::SharedKey;

/// The binding's name in `wrangler.toml`.
pub const BINDING: &str = "DB";

/// Accounts, sessions and ownership in D1.
#[derive(Debug)]
pub struct D1Store(D1Database);

impl D1Store {
    /// Opens the binding.
    ///
    /// # Errors
    /// [`StorageError::Failed`] when the deployment has no such binding.
    pub fn open(env: &worker::Env) -> Result<Self, StorageError> {
        env.d1(BINDING).map(Self).map_err(failed)
    }

    /// Asks for nothing but an answer.
    ///
    /// # Errors
    /// [`StorageError::Failed`] when there is none.
    pub async fn answers(&self) -> Result<(), StorageError> {
        self.first::<serde::de::IgnoredAny>("SELECT 1", &[]).await.map(|_| ())
    }

    fn prepare(&self, sql: &str, values: &[D1Type<'_>]) -> Result<D1PreparedStatement, StorageError> {
        self.0.prepare(sql).bind_refs(values).map_err(failed)
    }

    async fn first<T: DeserializeOwned>(&self, sql: &str, values: &[D1Type<'_>]) -> Result<Option<T>, StorageError> {
        self.prepare(sql, values)?.first(None).await.map_err(failed)
    }

    async fn all<T: DeserializeOwned>(&self, sql: &str, values: &[D1Type<'_>]) -> Result<Vec<T>, StorageError> {
        let rows = self.prepare(sql, values)?.all().await.map_err(failed)?;
        rows.results().map_err(failed)
    }

    /// Runs one statement and gives the number of rows it changed.
    async fn run(&self, sql: &str, values: &[D1Type<'_>]) -> Result<usize, StorageError> {
        changes(&self.prepare(sql, values)?.run().await.map_err(failed)?)
    }

    /// Runs several in one transaction and gives the rows each changed.
    async fn batch(&self, statements: Vec<D1PreparedStatement>) -> Result<Vec<usize>, StorageError> {
        let results = self.0.batch(statements).await.map_err(failed)?;
        results.iter().map(changes).collect()
    }
}

fn changes(result: &D1Result) -> Result<usize, StorageError> {
    let meta = result.meta().map_err(failed)?;
    meta.and_then(|meta| meta.changes).ok_or_else(|| StorageError::Failed("no count of changed rows".to_owned()))
}

fn failed(error: impl std::fmt::Display) -> StorageError {
    StorageError::Failed(error.to_string())
}

/// A time for a REAL column: exact up to 2^53.
fn real(ms: u64) -> D1Type<'static> {
    D1Type::Real(ms as f64)
}

fn optional(text: Option<&str>) -> D1Type<'_> {
    text.map_or(D1Type::Null, D1Type::Text)
}

/// A time out of a REAL column; anything but a whole number of milliseconds was not written by us.
fn ms(value: f64, what: &'static str) -> Result<u64, StorageError> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && (0.0..EXACT_MAX).contains(&value) {
        Ok(value as u64)
    } else {
        Err(StorageError::Corrupt { what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_were_never_written_are_corrupt_and_not_zero() {
        assert_eq!(ms(1_800_000_000_000.0, "t"), Ok(1_800_000_000_000));
        for bad in [-1.0, 0.5, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(ms(bad, "t"), Err(StorageError::Corrupt { what: "t" }));
        }
    }
}

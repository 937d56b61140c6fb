//! Rows of an object's SQLite, as pairs of texts. SQL numbers pass through f64 here, so numbers are kept as text.

use serde::{Serialize, de::DeserializeOwned};
use worker::{SqlStorage, SqlStorageValue};

use super::store::StoreError;

/// Runs a statement and reads its rows of two texts.
pub(super) fn run(
    sql: &SqlStorage,
    text: &str,
    bindings: Vec<SqlStorageValue>,
) -> Result<Vec<(String, String)>, StoreError> {
    let failed = |error: worker::Error| StoreError::Failed(error.to_string());
    let cursor = sql.exec(text, bindings).map_err(failed)?;
    cursor
        .raw()
        .map(|row| match <[SqlStorageValue; 2]>::try_from(row.map_err(failed)?) {
            Ok([SqlStorageValue::String(key), SqlStorageValue::String(body)]) => Ok((key, body)),
            Ok(_) | Err(_) => Err(corrupt("a table", "a row of another shape")),
        })
        .collect()
}

/// A table of numbered JSON rows: what happened, in order.
pub(super) struct Log {
    sql: SqlStorage,
    table: &'static str,
}

impl Log {
    /// Opens the table; [`Log::append`] makes it, so that asking leaves nothing behind.
    pub(super) fn open(sql: SqlStorage, table: &'static str) -> Self {
        Self { sql, table }
    }

    /// All rows, in order, each read as `T`; the first may be of another type.
    pub(super) fn read<F: DeserializeOwned, T: DeserializeOwned>(&self) -> Result<Option<(F, Vec<T>)>, StoreError> {
        if !self.exists()? {
            return Ok(None);
        }
        let rows = run(&self.sql, &format!("SELECT n, body FROM {} ORDER BY n", self.table), Vec::new())?;
        let mut rows = rows.iter();
        let Some((n, body)) = rows.next() else { return Ok(None) };
        let first = self.decode(n, body)?;
        let rest = rows.map(|(n, body)| self.decode(n, body)).collect::<Result<_, _>>()?;
        Ok(Some((first, rest)))
    }

    /// Writes rows behind the first `count`, all or none.
    pub(super) fn append<T: Serialize>(&self, count: usize, rows: &[T]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        #[cfg(feature = "fault-injection")]
        super::faults::storage()?;
        let table = self.table;
        let make = format!(
            "CREATE TABLE IF NOT EXISTS {table} (n TEXT NOT NULL PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID"
        );
        run(&self.sql, &make, Vec::new())?;
        let places = vec!["(?, ?)"; rows.len()].join(", ");
        let bindings = rows.iter().zip(count..).flat_map(|(row, n)| {
            // The rows are plain data, which always encodes.
            let body = serde_json::to_string(row).unwrap_or_default();
            [format!("{n:06}"), body].map(SqlStorageValue::String)
        });
        run(&self.sql, &format!("INSERT INTO {table} (n, body) VALUES {places}"), bindings.collect()).map(|_| ())
    }

    /// Writes another first row in place of the one that is there.
    pub(super) fn replace_first<T: Serialize>(&self, first: &T) -> Result<(), StoreError> {
        let body = serde_json::to_string(first).unwrap_or_default();
        let text = format!("UPDATE {} SET body = ? WHERE n = (SELECT min(n) FROM {})", self.table, self.table);
        run(&self.sql, &text, vec![body.into()]).map(|_| ())
    }

    /// Removes the table. Zeroed first, because freed pages keep what stood in them.
    pub(super) fn wipe(&self) -> Result<(), StoreError> {
        if !self.exists()? {
            return Ok(());
        }
        let table = self.table;
        run(&self.sql, &format!("UPDATE {table} SET body = zeroblob(length(body))"), Vec::new())?;
        run(&self.sql, &format!("DROP TABLE {table}"), Vec::new()).map(|_| ())
    }

    fn exists(&self) -> Result<bool, StoreError> {
        let text = "SELECT name, name FROM sqlite_master WHERE type = 'table' AND name = ?";
        Ok(!run(&self.sql, text, vec![self.table.into()])?.is_empty())
    }

    fn decode<T: DeserializeOwned>(&self, n: &str, body: &str) -> Result<T, StoreError> {
        serde_json::from_str(body).map_err(|error| corrupt(&format!("{} {n}", self.table), error))
    }
}

/// A row that is not what was written.
pub(super) fn corrupt(what: &str, cause: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { what: what.to_owned(), cause: cause.to_string() }
}

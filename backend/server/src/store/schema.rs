//! The tables, and how an older file becomes a newer one.

use rusqlite::Connection;

use super::StoreError;

/// What leads from each version of the schema to the next.
const STEPS: [&str; 1] = ["
    CREATE TABLE sessions (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;
    CREATE TABLE idempotency (
        owner TEXT NOT NULL,
        key TEXT NOT NULL,
        request TEXT NOT NULL,
        session TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (owner, key)
    ) STRICT;
"];

/// Brings the file to the newest version.
pub(super) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    let known = i64::try_from(STEPS.len()).expect("few");
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    for (version, step) in (1..).zip(STEPS).skip(usize::try_from(found).unwrap_or(0)) {
        connection.execute_batch(&format!(
            "BEGIN; {step} PRAGMA user_version = {version}; COMMIT;"
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_file_is_refused_and_ours_is_kept() {
        let connection = Connection::open_in_memory().unwrap();
        prepare(&connection).unwrap();
        prepare(&connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        let error = prepare(&connection).unwrap_err();
        assert!(error.to_string().contains("schema 99"), "{error}");
    }
}

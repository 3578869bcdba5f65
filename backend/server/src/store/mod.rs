//! The records of sessions, in an `SQLite` file.

mod schema;

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{Timestamp, ToSpan};
use rusqlite::{Connection, OptionalExtension, params};

use crate::id::SessionId;
use crate::session::Record;

/// What goes wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// `SQLite`'s own errors: a full disk, a damaged file.
    #[error("the store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file itself.
    #[error("the store: {0}")]
    File(#[from] io::Error),
    /// A record that cannot be read back.
    #[error("a record in the store: {0}")]
    Record(#[from] serde_json::Error),
    /// The file was written by a newer version.
    #[error("the store has schema {found}; this version knows up to {known}")]
    TooNew {
        /// The file's version.
        found: i64,
        /// Ours.
        known: i64,
    },
}

/// What an idempotency key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The digest of the request that came with it first.
    pub request: String,
    /// The session that it made.
    pub session: SessionId,
}

/// The store. Its calls take milliseconds of disk time and run on a thread for blocking work.
#[derive(Clone, Debug)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
}

impl Store {
    /// Opens the file at `path`, or makes it.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // SQLite gives its other files the mode of this one.
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        drop(file);
        let connection = Connection::open(path)?;
        schema::prepare(&connection)?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Every record that can be read, and the ids of those that cannot.
    ///
    /// # Errors
    /// Those of `SQLite`.
    pub async fn load(&self) -> Result<(Vec<Record>, Vec<String>), StoreError> {
        self.run(|connection| {
            let mut statement = connection.prepare("SELECT id, record FROM sessions")?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let rows = statement.query_map([], row)?;
            let (mut records, mut unreadable) = (Vec::new(), Vec::new());
            for row in rows {
                let (id, record): (String, String) = row?;
                match serde_json::from_str(&record) {
                    Ok(record) => records.push(record),
                    Err(error) => {
                        tracing::error!(session.id = id, %error, "a record cannot be read");
                        unreadable.push(id);
                    }
                }
            }
            Ok((records, unreadable))
        })
        .await
    }

    /// Stores a record, and what its idempotency key stands for.
    ///
    /// # Errors
    /// Those of `SQLite`.
    pub async fn insert(
        &self,
        record: &Record,
        key: Option<(String, String)>,
    ) -> Result<(), StoreError> {
        let (id, owner) = (record.id.to_string(), record.owner.clone());
        let record = serde_json::to_string(record)?;
        let now = Timestamp::now();
        self.run(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute(
                "INSERT INTO sessions (id, record) VALUES (?1, ?2)",
                params![id, record],
            )?;
            if let Some((key, request)) = key {
                transaction.execute(
                    "INSERT OR REPLACE INTO idempotency (owner, key, request, session, at)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![owner, key, request, id, now.as_second()],
                )?;
                let yesterday = (now - 24.hours()).as_second();
                transaction.execute("DELETE FROM idempotency WHERE at < ?1", [yesterday])?;
            }
            Ok(transaction.commit()?)
        })
        .await
    }

    /// Replaces a record.
    ///
    /// # Errors
    /// Those of `SQLite`.
    pub async fn update(&self, record: &Record) -> Result<(), StoreError> {
        let id = record.id.to_string();
        let record = serde_json::to_string(record)?;
        self.run(move |connection| {
            let sql = "UPDATE sessions SET record = ?2 WHERE id = ?1";
            connection.execute(sql, params![id, record])?;
            Ok(())
        })
        .await
    }

    /// Forgets a session.
    ///
    /// # Errors
    /// Those of `SQLite`.
    pub async fn delete(&self, id: &SessionId) -> Result<(), StoreError> {
        let id = id.to_string();
        self.run(move |connection| {
            connection.execute("DELETE FROM sessions WHERE id = ?1", [id])?;
            Ok(())
        })
        .await
    }

    /// What an idempotency key of the last 24 hours stands for.
    ///
    /// # Errors
    /// Those of `SQLite`.
    pub async fn remembered(
        &self,
        owner: &str,
        key: &str,
    ) -> Result<Option<Remembered>, StoreError> {
        let (owner, key) = (owner.to_owned(), key.to_owned());
        let yesterday = (Timestamp::now() - 24.hours()).as_second();
        let found = self
            .run(move |connection| {
                let sql = "SELECT request, session FROM idempotency
                           WHERE owner = ?1 AND key = ?2 AND at >= ?3";
                let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
                let found: Option<(String, String)> = connection
                    .query_row(sql, params![owner, key, yesterday], row)
                    .optional()?;
                Ok(found)
            })
            .await?;
        Ok(found.and_then(|(request, session)| {
            let session = session.parse().ok()?;
            Some(Remembered { request, session })
        }))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_blocking(move || {
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .expect("a query does not panic, and the runtime outlives it")
    }
}

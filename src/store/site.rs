//! The Jira that the stored tickets are of.

use sqlx::{Row as _, any::AnyRow};

use super::{Error, InTime as _, Store, Turn, query};

impl Store {
    /// The address of the Jira that the tickets are of, once one said it.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn site(&self) -> Result<Option<String>, Error> {
        let mut reading = self.begin().await?;
        let known = query("SELECT base_url FROM site WHERE only_row = 1")
            .try_map(|row: AnyRow| row.try_get(0))
            .fetch_optional(&mut *reading)
            .in_time()
            .await?;
        Ok(known)
    }
}

impl Turn {
    /// From now on tickets are of the Jira with this address.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn set_site(&mut self, base_url: &str) -> Result<(), Error> {
        query(
            "INSERT INTO site (only_row, base_url) VALUES (1, $1)
             ON CONFLICT (only_row) DO UPDATE SET base_url = excluded.base_url",
        )
        .bind(base_url)
        .execute(self.sql())
        .in_time()
        .await?;
        Ok(())
    }
}

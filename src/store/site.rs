//! The address of the Jira that has the stored tickets.

use super::{error::Error, handle::Store, query::query, write_tx::WriteTx};

impl Store {
    /// The address of the Jira that has the stored tickets, if known.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn site(&self) -> Result<Option<String>, Error> {
        let mut reading = self.begin().await?;
        let known: Option<(String,)> =
            query("SELECT base_url FROM site WHERE only_row = 1").optional(&mut reading).await?;
        Ok(known.map(|(base_url,)| base_url))
    }
}

impl WriteTx {
    /// Stores the address of the Jira that has the tickets.
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
        .await?;
        Ok(())
    }
}

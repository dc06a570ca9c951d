//! A database of its own for a test: a file of SQLite or, on the server that TEST_DATABASE_URL names, one of PostgreSQL.
//!
//! The tests in the sources, the example `kills` and the bench `load` use this file too.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// An empty database. One of PostgreSQL is dropped with it, whoever is connected.
pub(crate) struct Database {
    /// What `store.url` is to be.
    pub(crate) url: String,
    /// Where PostgreSQL is, and what the database is called there.
    there: Option<(String, String)>,
}

impl Database {
    /// A new one, where TEST_DATABASE_URL says.
    pub(crate) async fn fresh(directory: &Path) -> Self {
        let server = std::env::var("TEST_DATABASE_URL").ok().filter(|server| !server.is_empty());
        Self::on(server.as_deref(), directory).await.expect("TEST_DATABASE_URL can be used")
    }

    /// A new one on this server of PostgreSQL; without one, the file `bridge.db` in `directory`, which is made when it is
    /// opened.
    pub(crate) async fn on(server: Option<&str>, directory: &Path) -> Result<Self, sqlx::Error> {
        let Some(server) = server else {
            let url = format!("sqlite://{}", directory.join("bridge.db").display());
            return Ok(Self { url, there: None });
        };
        let name = format!("it_{:032x}", rand::random::<u128>());
        let mut url =
            reqwest::Url::parse(server).map_err(|error| sqlx::Error::Configuration(error.into()))?;
        url.set_path(&name);
        run(server, format!("CREATE DATABASE {name}")).await?;
        Ok(Self { url: url.into(), there: Some((server.to_owned(), name)) })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = self.there.take() else { return };
        // The runtime of the test cannot wait here. A database that stays is only in the way of nobody.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime
                .block_on(run(&server, format!("DROP DATABASE {name} WITH (FORCE)")))
                .map_err(std::io::Error::other)
        });
        if !matches!(dropping.join(), Ok(Ok(()))) {
            eprintln!("a database of the tests could not be dropped");
        }
    }
}

async fn run(server: &str, sql: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(server).await?;
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}

//! A database for one test: an SQLite file or, if TEST_DATABASE_URL names a server, a PostgreSQL database.
//!
//! The tests in the sources, the example `kills` and the bench `load` use this file too.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// An empty database. A PostgreSQL database is dropped with this value, even if connections are open.
pub(crate) struct Database {
    /// The value for `store.url`.
    pub(crate) url: String,
    /// The PostgreSQL server's address and the name of the database there.
    postgres: Option<(String, String)>,
}

impl Database {
    /// A new database on the server that TEST_DATABASE_URL names, or a file.
    pub(crate) async fn fresh(directory: &Path) -> Self {
        let server = std::env::var("TEST_DATABASE_URL").ok().filter(|server| !server.is_empty());
        Self::on(server.as_deref(), directory).await.expect("TEST_DATABASE_URL can be used")
    }

    /// A new database on this PostgreSQL server; without one, the file `bridge.db` in `directory`, which is created
    /// when it is opened.
    pub(crate) async fn on(server: Option<&str>, directory: &Path) -> Result<Self, sqlx::Error> {
        let Some(server) = server else {
            let url = format!("sqlite://{}", directory.join("bridge.db").display());
            return Ok(Self { url, postgres: None });
        };
        let name = format!("it_{:032x}", rand::random::<u128>());
        let mut url =
            reqwest::Url::parse(server).map_err(|error| sqlx::Error::Configuration(error.into()))?;
        url.set_path(&name);
        run(server, format!("CREATE DATABASE {name}")).await?;
        Ok(Self { url: url.into(), postgres: Some((server.to_owned(), name)) })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = self.postgres.take() else { return };
        // `drop` cannot wait on the test's runtime, so another thread does. A database that stays disturbs no other
        // test.
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

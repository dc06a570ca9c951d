//! A database for one test: an SQLite file or, if TEST_DATABASE_URL names a server, a PostgreSQL database.
//!
//! The tests in the sources, the example `kills` and the bench `load` use this file too.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::{mpsc, oneshot};

/// An empty database. A PostgreSQL database is dropped with this value, even if connections are open.
pub(crate) struct Database {
    /// The value for `store.url`.
    pub(crate) url: String,
    /// The PostgreSQL server's address and the name of the database there.
    postgres: Option<(String, String)>,
    /// The database that it is a copy of, which is kept for other copies.
    _template: Option<Arc<Database>>,
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
            return Ok(Self { url, postgres: None, _template: None });
        };
        Self::create(server, None).await
    }

    /// A copy of this PostgreSQL database, to which no connection may be open.
    pub(crate) async fn copy(self: &Arc<Self>) -> Self {
        let (server, _) = self.postgres.as_ref().expect("only databases of a server are copied");
        Self::create(server, Some(self)).await.expect("a database can be copied")
    }

    async fn create(server: &str, template: Option<&Arc<Self>>) -> Result<Self, sqlx::Error> {
        let name = format!("it_{:032x}", rand::random::<u128>());
        let mut url =
            reqwest::Url::parse(server).map_err(|error| sqlx::Error::Configuration(error.into()))?;
        url.set_path(&name);
        let copied = template.and_then(|template| template.postgres.as_ref());
        let copied = copied.map(|(_, copied)| format!(" TEMPLATE {copied}")).unwrap_or_default();
        let (send, done) = oneshot::channel();
        let create = format!("CREATE DATABASE {name}{copied}");
        order(server, create, move |result| drop(send.send(result)));
        done.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))?;
        Ok(Self {
            url: url.into(),
            postgres: Some((server.to_owned(), name)),
            _template: template.map(Arc::clone),
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = self.postgres.take() else { return };
        // `drop` cannot wait on the test's runtime. A database that stays disturbs no other test.
        let (send, done) = std::sync::mpsc::channel();
        order(&server, format!("DROP DATABASE {name} WITH (FORCE)"), move |result| drop(send.send(result)));
        if !matches!(done.recv(), Ok(Ok(()))) {
            eprintln!("a database of the tests could not be dropped");
        }
    }
}

/// A statement that creates or drops a database.
struct Order {
    server: String,
    sql: String,
    done: Box<dyn FnOnce(Result<(), sqlx::Error>) + Send>,
}

/// Runs a statement on this server, after those before it, and calls `done`.
fn order(server: &str, sql: String, done: impl FnOnce(Result<(), sqlx::Error>) + Send + 'static) {
    // A connection costs PostgreSQL a process, so one serves all tests, on a thread that ends with the program.
    static ORDERS: LazyLock<mpsc::UnboundedSender<Order>> = LazyLock::new(|| {
        let (send, mut orders) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("there is a runtime").block_on(async {
                let mut kept = None;
                while let Some(Order { server, sql, done }) = orders.recv().await {
                    done(run(&mut kept, server, sql).await);
                }
            });
        });
        send
    });
    // If the thread has panicked, `done` is dropped, which whoever waits for it notices.
    drop(ORDERS.send(Order { server: server.to_owned(), sql, done: Box::new(done) }));
}

/// Runs a statement on the connection that was kept if it is to this server and still works, and otherwise on a new one.
async fn run(
    kept: &mut Option<(String, PgConnection)>,
    server: String,
    sql: String,
) -> Result<(), sqlx::Error> {
    let mut connection = match kept.take() {
        Some((of, connection)) if of == server => connection,
        _ => PgConnection::connect(&server).await?,
    };
    if connection.ping().await.is_err() {
        connection = PgConnection::connect(&server).await?;
    }
    // Since version 15 a copy through the log is the default, which takes twice as long.
    let creates =
        sql.starts_with("CREATE") && connection.server_version_num().is_some_and(|it| it >= 150_000);
    let strategy = if creates { " STRATEGY FILE_COPY" } else { "" };
    sqlx::raw_sql(AssertSqlSafe(sql + strategy)).execute(&mut connection).await?;
    *kept = Some((server, connection));
    Ok(())
}

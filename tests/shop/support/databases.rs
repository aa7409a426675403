//! Every database that the shop can keep: SQLite always, Postgres where a server can be had. `SHOPTALK_TEST_POSTGRES`
//! names one (`postgres://user:password@host/postgres`); else one is started for the time of the tests where Postgres is
//! installed.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use shoptalk::storage::Store;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// An empty database of its own.
pub struct Database {
    /// Opened and migrated.
    pub store: Store,
    /// Its address; another process would open it by this.
    pub url: String,
    /// For what is kept beside the database.
    pub dir: TempDir,
}

impl Database {
    async fn open(url: String, dir: TempDir) -> Self {
        let store = Store::connect(&url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        Self { store, url, dir }
    }

    /// The same database as another process sees it.
    pub async fn reopen(&self) -> Store {
        Store::connect(&self.url).await.unwrap()
    }
}

/// Runs `test` on an empty database of each kind.
pub async fn on_each_database(test: impl AsyncFn(&Database)) {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}?mode=rwc", dir.path().join("shoptalk.db").display());
    println!("on SQLite");
    test(&Database::open(url, dir).await).await;
    let Some(server) = postgres().await else { return };
    let name = server.create_database().await;
    println!("on Postgres");
    test(&Database::open(server.url_of(&name), tempfile::tempdir().unwrap()).await).await;
    server.execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

/// A Postgres server on which databases can be made.
struct PostgresServer {
    /// Without the database's name.
    base: String,
    /// A database that is there already.
    home: String,
}

impl PostgresServer {
    fn url_of(&self, database: &str) -> String {
        format!("{}/{database}", self.base)
    }

    async fn execute(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.url_of(&self.home)).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(sql.to_owned())).await.unwrap();
    }

    async fn create_database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("shoptalk_test_{}_{number}", std::process::id());
        self.execute(&format!("CREATE DATABASE {name}")).await;
        name
    }
}

/// The server of these tests; `None` and a line where there is none.
async fn postgres() -> Option<&'static PostgresServer> {
    static SERVER: OnceCell<Option<PostgresServer>> = OnceCell::const_new();
    let server = SERVER.get_or_init(|| async {
        if let Ok(url) = std::env::var("SHOPTALK_TEST_POSTGRES") {
            let (base, home) = url.rsplit_once('/').expect("SHOPTALK_TEST_POSTGRES is postgres://…/database");
            return Some(PostgresServer { base: base.to_owned(), home: home.to_owned() });
        }
        start().await
    });
    let server = server.await.as_ref();
    if server.is_none() {
        println!("skipped on Postgres: it is not installed and SHOPTALK_TEST_POSTGRES names no server");
    }
    server
}

/// Starts a server that ends with this process, however that ends: its guardian reads from a pipe whose other end
/// only this process holds, and stops the server and deletes its files when the pipe closes.
async fn start() -> Option<PostgresServer> {
    const GUARDIAN: &str = r#"
        "$2/initdb" -D "$1/data" -U shoptalk -A trust -E UTF8 --locale=C --no-sync >"$1/log" 2>&1 || exit 1
        "$2/postgres" -D "$1/data" -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
            >>"$1/log" 2>&1 &
        server=$!
        cat >/dev/null
        kill -INT $server; wait $server; rm -rf "$1"
    "#;
    let programs = programs()?;
    // Not a `TempDir`: nothing here outlives the process, which is why the guardian cleans up.
    let dir = tempfile::Builder::new().prefix("shoptalk-postgres-").tempdir().unwrap().keep();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("sh");
    if is_root() {
        // Postgres refuses to run as root.
        assert!(Command::new("chown").arg("nobody").arg(&dir).status().unwrap().success());
        command = Command::new("runuser");
        command.args(["-u", "nobody", "--", "sh"]);
    }
    command.args(["-c", GUARDIAN, "sh"]).args([&dir, &programs]).arg(port.to_string()).current_dir("/");
    let guardian = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Kept open as long as this process lives.
    std::mem::forget(guardian);
    let server = PostgresServer { base: format!("postgres://shoptalk@127.0.0.1:{port}"), home: "postgres".to_owned() };
    for _ in 0..600 {
        if PgConnection::connect(&server.url_of("postgres")).await.is_ok() {
            return Some(server);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("Postgres did not start: {}", std::fs::read_to_string(dir.join("log")).unwrap_or_default());
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The folder with `initdb` and `postgres`.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.into_iter().rev().chain(std::env::split_paths(&path)).find(|folder| has_postgres(folder))
}

fn has_postgres(folder: &Path) -> bool {
    folder.join("initdb").exists() && folder.join("postgres").exists()
}

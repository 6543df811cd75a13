//! A real PostgreSQL, started from whatever is installed, on a free port of the loopback.
#![allow(dead_code, clippy::disallowed_methods, clippy::disallowed_types)]

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

const INSTALL: &str = "PostgreSQL is needed for this test and was not found: no initdb in PATH or /usr/lib/postgresql/*/bin. \
    On Debian and Ubuntu:  apt-get install -y postgresql";

/// A cluster of its own. It goes away when dropped.
pub struct Cluster {
    bin: PathBuf,
    place: tempfile::TempDir,
    port: u16,
    guard: Option<Child>,
}

impl Cluster {
    /// Makes a cluster and starts its server. Durability is on only where a test kills it.
    pub fn start() -> Self {
        let bin = find_bin().unwrap_or_else(|| panic!("{INSTALL}"));
        let place = tempfile::tempdir().expect("a temporary directory");
        give_away(place.path());
        let data = place.path().join("data");
        let mut initdb = unprivileged(&bin.join("initdb"));
        initdb
            .args([
                "--auth=trust",
                "--username=tester",
                "--encoding=UTF8",
                "--no-locale",
                "-D",
            ])
            .arg(&data);
        let made = initdb.output().expect("initdb can be run");
        assert!(
            made.status.success(),
            "initdb: {}{}",
            String::from_utf8_lossy(&made.stdout),
            String::from_utf8_lossy(&made.stderr)
        );
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|free| free.local_addr())
            .expect("a free port")
            .port();
        let mut cluster = Self {
            bin,
            place,
            port,
            guard: None,
        };
        cluster.run();
        cluster
    }

    /// Starts the server and waits until it takes connections.
    pub fn run(&mut self) {
        // A test process that is killed, or leaves a static behind, closes this shell's input:
        // then the server goes too, and with it what it wrote.
        const GUARD: &str =
            "place=$1; shift; \"$@\" & cat; kill -QUIT $! && wait $!; rm -rf \"$place\"";
        let mut command = unprivileged(Path::new("/bin/sh"));
        command
            .args(["-c", GUARD, "sh"])
            .arg(self.place.path())
            .arg(self.bin.join("postgres"));
        command
            .arg("-D")
            .arg(self.place.path().join("data"))
            .arg("-p")
            .arg(self.port.to_string());
        let sockets = format!("unix_socket_directories={}", self.place.path().display());
        for setting in [
            "listen_addresses=127.0.0.1",
            &sockets,
            "log_min_messages=fatal",
        ] {
            command.arg("-c").arg(setting);
        }
        let guard = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.guard = Some(guard.expect("a shell can be run"));
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.is_ready() {
            assert!(
                Instant::now() < deadline,
                "PostgreSQL does not take connections on port {}",
                self.port
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_ready(&self) -> bool {
        let ready = Command::new(self.bin.join("pg_isready"))
            .args([
                "-q",
                "-h",
                "127.0.0.1",
                "-U",
                "tester",
                "-d",
                "postgres",
                "-p",
            ])
            .arg(self.port.to_string())
            .status();
        ready.is_ok_and(|status| status.success())
    }

    /// SIGKILL to the server and its processes, as when the machine ends them.
    pub fn kill(&mut self) {
        let Some(mut guard) = self.guard.take() else {
            return;
        };
        // The guard itself first: it would clear away what the next run needs.
        let _ = guard.kill();
        let _ = guard.wait();
        let own = std::fs::read_to_string(self.place.path().join("data/postmaster.pid"))
            .unwrap_or_default();
        let server = own
            .lines()
            .next()
            .expect("a running server has written its id")
            .to_owned();
        let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children"))
            .unwrap_or_default();
        let all = std::iter::once(server.as_str()).chain(children.split_whitespace());
        // A child that has ended meanwhile makes `kill` complain, and is no worry.
        let _ = Command::new("kill")
            .arg("-KILL")
            .args(all)
            .stderr(Stdio::null())
            .status();
        let deadline = Instant::now() + Duration::from_secs(60);
        while Path::new(&format!("/proc/{server}")).exists() {
            assert!(Instant::now() < deadline, "the server {server} does not go");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://tester@127.0.0.1:{}/{database}", self.port)
    }

    /// A database of its own for a test.
    pub async fn database(&self, name: &str) -> Client {
        let admin = self.client("postgres").await;
        admin
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .expect("the database is made");
        self.client(name).await
    }

    pub async fn client(&self, database: &str) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url(database), NoTls)
            .await
            .expect("PostgreSQL takes connections");
        tokio::spawn(connection);
        client
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

fn find_bin() -> Option<PathBuf> {
    let mut places = Vec::new();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|version| version.path().join("bin")));
        places.sort();
        places.reverse();
    }
    places.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let whole = |place: &PathBuf| {
        ["initdb", "postgres", "pg_isready"]
            .iter()
            .all(|name| place.join(name).exists())
    };
    places.into_iter().find(whole)
}

/// PostgreSQL refuses to run as root: then it runs as the user its package has made.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(program);
    command
}

fn give_away(place: &Path) {
    if is_root() {
        let given = Command::new("chown")
            .arg("postgres:postgres")
            .arg(place)
            .status()
            .expect("chown can be run");
        assert!(
            given.success(),
            "there is no user postgres to run the server as"
        );
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

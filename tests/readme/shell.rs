//! A shell in which a page's commands mean this build, and its ports are free ones.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::addresses::free_addresses;

/// How long a house may take to start before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Hands `cargo run --release -- …` to the binary; what only builds or tests is checked elsewhere.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
    "run --release -- "*) shift 3; exec millstream "$@" ;;
    "xtask test") ;;
    *) echo "this page has a new use of cargo: cargo $*" >&2; exit 97 ;;
esac
"#;

pub struct Shell {
    folder: PathBuf,
    /// Its home: programs, data, curl's settings.
    home: tempfile::TempDir,
    environment: Vec<(String, String)>,
    /// A house that a command has started.
    house: Option<Child>,
}

impl Shell {
    /// Commands run in `folder`.
    pub fn new(folder: &Path) -> Shell {
        let home = tempfile::tempdir().expect("a temporary folder");
        let programs = home.path().join("bin");
        std::fs::create_dir(&programs).expect("a folder is made");
        let cargo = programs.join("cargo");
        std::fs::write(&cargo, CARGO).expect("a script is written");
        std::fs::set_permissions(&cargo, PermissionsExt::from_mode(0o755)).expect("it may run");
        std::os::unix::fs::symlink(
            env!("CARGO_BIN_EXE_millstream"),
            programs.join("millstream"),
        )
        .expect("a link is made");
        let [name_server, broker, admin, connect] = free_addresses();
        let curl = format!("fail\nsilent\nshow-error\nconnect-to = localhost:8083:{connect}\n");
        std::fs::write(home.path().join(".curlrc"), curl).expect("curl's settings are written");
        let path = std::env::var("PATH").unwrap_or_default();
        let own = home.path().display();
        let environment = [
            ("PATH", format!("{}:{path}", programs.display())),
            ("HOME", own.to_string()),
            ("XDG_DATA_HOME", own.to_string()),
            ("MILLSTREAM_NAMESERVERS", name_server.clone()),
            ("MILLSTREAM_ADMIN", admin.clone()),
            ("MILLSTREAM_CONNECT", connect.clone()),
            ("MILLSTREAM__NAMESERVER__LISTEN", name_server.clone()),
            ("MILLSTREAM__BROKER__NAMESERVERS", name_server),
            ("MILLSTREAM__BROKER__LISTEN", broker),
            ("MILLSTREAM__ADMIN__LISTEN", admin),
            ("MILLSTREAM__CONNECT__LISTEN", connect),
        ];
        Shell {
            folder: folder.to_owned(),
            home,
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .to_vec(),
            house: None,
        }
    }

    /// Runs one command as it stands, and returns what it printed. It must end well; one that
    /// starts a house goes on in the background.
    pub fn run(&mut self, command: &str) -> String {
        println!("$ {command}");
        let words = command.split('#').next().unwrap_or_default();
        if words.trim_end().ends_with(" up") {
            self.start_house(command);
            return String::new();
        }
        let output = self.shell(command).output().expect("a shell can be run");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        println!("{printed}{complained}");
        assert!(output.status.success(), "{command}: {}", output.status);
        printed
    }

    fn start_house(&mut self, command: &str) {
        let mut house = self
            .shell(&format!("exec {command}"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell can be run");
        let said = house.stderr.take().expect("its errors are piped");
        self.house = Some(house);
        let (open, ready) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                println!("{line}");
                if line.starts_with("connectors ") {
                    open.send(()).ok();
                }
            }
        });
        ready
            .recv_timeout(PATIENCE)
            .expect("the house says where its doors are");
    }

    fn shell(&self, command: &str) -> Command {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", command])
            .current_dir(&self.folder)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("TMPDIR", self.home.path())
            .stdin(Stdio::null());
        shell
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Some(mut house) = self.house.take() {
            house.kill().ok();
            house.wait().ok();
        }
    }
}

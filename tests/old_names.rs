//! RocketMQ's quickstart: `mqnamesrv` and `mqbroker` as two processes, and the lines its users wait for.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // It starts processes and listens on sockets.

#[path = "support/addresses.rs"]
mod addresses;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use addresses::free_addresses;

const MILLSTREAM: &str = env!("CARGO_BIN_EXE_millstream");
/// How long a process may take to say something before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder where the binary goes by all its names, and where its data lies.
struct Installed {
    folder: tempfile::TempDir,
}

impl Installed {
    fn new() -> Installed {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for name in ["millstream", "mqnamesrv", "mqbroker"] {
            std::os::unix::fs::symlink(MILLSTREAM, folder.path().join(name))
                .expect("a link to the binary");
        }
        Installed { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("a file is written");
        path.display().to_string()
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.path().join(name));
        command
            .args(arguments)
            .env("XDG_DATA_HOME", self.path().join("data"));
        command
    }

    /// What a start that must fail says.
    fn refused(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.command(name, arguments).output();
        let output = output.expect("the process runs");
        assert_eq!(output.status.code(), Some(1), "{name} {arguments:?}");
        assert!(output.stdout.is_empty(), "{name} {arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// A running role. It is gone when this is dropped.
struct Process {
    child: Child,
    printed: Receiver<String>,
    complained: Receiver<String>,
}

impl Process {
    fn start(mut command: Command) -> Process {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the process starts");
        let printed = lines(child.stdout.take().expect("its output is piped"));
        let complained = lines(child.stderr.take().expect("its errors are piped"));
        Process {
            child,
            printed,
            complained,
        }
    }

    fn says(&self) -> String {
        match self.printed.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(_) => panic!("it said nothing but {:?}", self.complaints()),
        }
    }

    fn complaints(&self) -> Vec<String> {
        self.complained.try_iter().collect()
    }

    /// SIGTERM; the process must end well, and have printed nothing more.
    fn stop(mut self) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        assert!(told.expect("kill can be run").success());
        let status = self.child.wait().expect("it can be waited for");
        assert!(status.success(), "it ended with {status} after SIGTERM");
        assert_eq!(
            self.printed.iter().collect::<Vec<_>>(),
            Vec::<String>::new()
        );
        assert_eq!(self.complained.iter().collect::<Vec<_>>(), ["stopping"]);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            sender.send(line).ok();
        }
    });
    lines
}

fn millstream(arguments: &[&str]) -> String {
    let output = Command::new(MILLSTREAM).args(arguments).output();
    let output = output.expect("the command runs");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complained}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An address as RocketMQ's files have it.
fn listening(address: &str) -> String {
    let (ip, port) = address.split_once(':').expect("an address has a port");
    format!("bindAddress={ip}\nlistenPort={port}\n")
}

#[test]
fn two_processes_under_rocketmqs_names_serve_a_producer_and_a_consumer() {
    let installed = Installed::new();
    let [name_server, broker] = free_addresses();
    let conf = installed.file(
        "namesrv.conf",
        &format!("{}clusterTest=false\n", listening(&name_server)),
    );
    let names = Process::start(installed.command("mqnamesrv", &["-c", &conf]));
    assert_eq!(
        names.says(),
        format!("The Name Server boot success. serializeType=JSON, address {name_server}")
    );
    assert_eq!(
        names.complaints(),
        [format!(
            "{conf}: line 3: clusterTest has no effect: it is not known here"
        )]
    );

    let text = format!(
        "{}brokerName = broker-x\nstorePathRootDir = {}\nenablePropertyFilter = true\n",
        listening(&broker),
        installed.path().join("store").display(),
    );
    let conf = installed.file("broker.conf", &text);
    let arguments = ["-n", &name_server, "-c", &conf];
    let serving = Process::start(installed.command("mqbroker", &arguments));
    assert_eq!(
        serving.says(),
        format!(
            "The broker[broker-x, {broker}] boot success. serializeType=JSON and name server is {name_server}"
        )
    );
    assert_eq!(
        serving.complaints(),
        [format!(
            "{conf}: line 5: enablePropertyFilter has no effect: always on"
        )]
    );

    millstream(&["produce", "-n", &name_server, "quick", "it works"]);
    let read = millstream(&["consume", "-n", &name_server, "quick", "--count", "1"]);
    assert_eq!(read, "it works\n");

    serving.stop();
    names.stop();
    assert!(installed.path().join("store/commitlog").is_dir());
}

#[test]
fn the_command_line_beats_the_file_in_any_order() {
    let installed = Installed::new();
    let [name_server, broker] = free_addresses();
    let text = format!("namesrvAddr=127.0.0.1:1\n{}", listening(&broker));
    let conf = installed.file("broker.conf", &text);
    let arguments = ["-n", &name_server, "-c", &conf];
    let serving = Process::start(installed.command("mqbroker", &arguments));
    let said = serving.says();
    let end = format!("name server is {name_server}");
    assert!(said.ends_with(&end), "{said}");
}

#[test]
fn no_role_opens_itself_to_strangers_unless_told() {
    let installed = Installed::new();
    let [name_server, broker] = free_addresses();
    let names = installed.file("namesrv.conf", "bindAddress=0.0.0.0\nlistenPort=1\n");
    let said = installed.refused("mqnamesrv", &["-c", &names]);
    assert!(
        said.starts_with("error: nameserver.listen = 0.0.0.0:1 would be open to strangers  [settings.insecure]\n  why: "),
        "{said}"
    );

    let (ip, port) = broker.split_once(':').expect("an address has a port");
    let text = format!("bindAddress=0.0.0.0\nlistenPort={port}\n");
    let conf = installed.file("open.conf", &text);
    let said = installed.refused("mqbroker", &["-n", &name_server, "-c", &conf]);
    assert!(said.contains("[settings.insecure]"), "{said}");
    let told = ["-n", &name_server, "-c", &conf, "--insecure"];
    let said = installed.refused("mqbroker", &told);
    assert!(said.contains("[settings.advertise]"), "{said}");

    let conf = installed.file("told.conf", &format!("{text}brokerIP1={ip}\n"));
    let checked = installed.command("millstream", &["config", "check", &conf]);
    let checked = Process::start(checked);
    assert!(checked.says().starts_with("mapped "));
    let noted = format!(
        "starts with --insecure only: broker.listen = 0.0.0.0:{port} would be open to strangers"
    );
    assert_eq!(checked.complained.recv_timeout(PATIENCE), Ok(noted));

    let told = ["-n", &name_server, "-c", &conf, "--insecure"];
    let serving = Process::start(installed.command("mqbroker", &told));
    let said = serving.says();
    let start = format!("The broker[broker-a, {broker}] boot success.");
    assert!(said.starts_with(&start), "{said}");
}

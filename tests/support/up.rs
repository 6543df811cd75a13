//! `millstream up` on free ports, and the command line that speaks to it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::addresses::free_addresses;

/// How long a start may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running house. It is gone when this is dropped.
pub struct Up {
    child: Child,
    /// Reads what it says; ends with it.
    listener: Option<JoinHandle<Vec<String>>>,
    name_server: String,
    admin: String,
    connect: String,
    pub broker: String,
}

impl Up {
    /// Starts over `data`, with further settings as `part.key=value`; returns once it is ready.
    pub fn start(data: &Path, settings: &[&str]) -> Up {
        let [name_server, broker, admin, connect] = free_addresses();
        let mut command = millstream();
        command.arg("up").arg("--data").arg(data);
        let own = [
            format!("nameserver.listen={name_server}"),
            format!("broker.nameservers={name_server}"),
            format!("broker.listen={broker}"),
            format!("admin.listen={admin}"),
            format!("connect.listen={connect}"),
        ];
        for setting in own
            .iter()
            .map(String::as_str)
            .chain(settings.iter().copied())
        {
            command.args(["--set", setting]);
        }
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("millstream starts");
        let said = child.stderr.take().expect("its errors are piped");
        let (open, ready) = channel();
        let listener = std::thread::spawn(move || {
            let mut lines = Vec::new();
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                println!("up says: {line}");
                if line.starts_with("connectors ") {
                    open.send(()).ok();
                }
                lines.push(line);
            }
            lines
        });
        ready
            .recv_timeout(PATIENCE)
            .expect("the house says where its doors are");
        Up {
            child,
            listener: Some(listener),
            name_server,
            admin,
            connect,
            broker,
        }
    }

    /// The command line, pointed at this house by its environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = millstream();
        command
            .args(arguments)
            .env("MILLSTREAM_NAMESERVERS", &self.name_server)
            .env("MILLSTREAM_ADMIN", &self.admin)
            .env("MILLSTREAM_CONNECT", &self.connect);
        command
    }

    /// What a command prints; it must end well.
    pub fn ask(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output();
        printed(&output.expect("the command runs"))
    }

    /// SIGTERM; the process must end well and without a complaint.
    pub fn stop(mut self) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status();
        assert!(told.expect("kill can be run").success());
        let status = self.child.wait().expect("it can be waited for");
        assert!(
            status.success(),
            "the house at {} ended with {status}",
            self.broker
        );
        let listener = self.listener.take().expect("it is stopped once");
        let said = listener.join().expect("reading does not panic");
        let last: Vec<_> = said.iter().skip_while(|line| *line != "stopping").collect();
        assert_eq!(last, ["stopping"]);
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn millstream() -> Command {
    Command::new(env!("CARGO_BIN_EXE_millstream"))
}

/// Standard output of a command that ended well.
fn printed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    said
}

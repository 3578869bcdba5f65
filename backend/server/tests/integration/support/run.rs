//! `shellport run` and its companions, in a data directory of their own.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;

use super::api::IMAGE;
use super::backend::Backend;
use super::oci;
use super::rootless;
use super::server::directory;

/// How long anything may take.
const LONG: Duration = Duration::from_mins(1);

/// A data directory for containers of one engine.
pub struct Containers {
    directory: TempDir,
    engine: &'static str,
}

impl Containers {
    /// An empty one; none, and a line that says so, when the engine cannot be.
    pub fn new(backend: Backend) -> Option<Self> {
        let engine = backend.oci_engine().unwrap();
        oci::flags(engine)?;
        let directory = directory();
        backend.prepare(directory.path());
        Some(Self { directory, engine })
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// `shellport` with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let line = line(arguments);
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .env("SHELLPORT_DATA_DIR", self.path())
            .env("SHELLPORT_OCI_ENGINE", self.engine)
            .stdin(Stdio::null());
        command
    }

    /// What `shellport` does with these arguments.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// `shellport run` with these flags, a shell's line in the usual image, and no network; what it
    /// prints. It has to succeed.
    pub fn shell(&self, flags: &[&str], line: &str) -> String {
        let rest = [IMAGE, "sh", "-c", line];
        let arguments = [&["run", "--net=none"], flags, &rest].concat();
        self.success(&arguments)
    }

    /// What `shellport` prints, which has to succeed.
    pub fn success(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What `shellport` complains of; it has to fail, and to make nothing.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
        self.assert_empty();
        String::from_utf8(output.stderr).unwrap()
    }

    /// `shellport` with these arguments in a terminal of its own.
    pub fn terminal(&self, arguments: &[&str]) -> Terminal {
        let line = line(arguments);
        let mut command = CommandBuilder::new(&line[0]);
        command.args(&line[1..]);
        command.env("SHELLPORT_DATA_DIR", self.path());
        command.env("SHELLPORT_OCI_ENGINE", self.engine);
        Terminal::start(command)
    }

    /// Fails when there is a container, or a directory of one.
    pub fn assert_empty(&self) {
        let names = fs::read_dir(self.path().join("containers"));
        let names: Vec<_> = names.into_iter().flatten().collect();
        assert!(names.is_empty(), "{names:?}");
    }

    /// Fails when anything is left.
    pub fn finish(self) {
        let deadline = Instant::now() + LONG;
        while processes(self.path()) > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(processes(self.path()), 0, "processes are left");
        self.assert_empty();
        oci::assert_nothing_around(self.path());
    }
}

/// Runs a case of the test of this name with containers on the backend of this name, and sees to it that
/// nothing is left.
pub fn run(backend: &str, test: &str, case: impl FnOnce(&Containers)) {
    if rootless::is_outside(backend) {
        return rootless::rerun(backend, test, false);
    }
    if let Some(containers) = Containers::new(Backend::named(backend)) {
        case(&containers);
        containers.finish();
    }
}

/// `shellport` with these arguments, in the network namespace for containers without a daemon.
fn line(arguments: &[&str]) -> Vec<String> {
    let namespace = std::env::var("SHELLPORT_TEST_OCI_NAMESPACE");
    let enter = namespace.iter().flat_map(|namespace| {
        let file = format!("--net={namespace}");
        ["nsenter".to_owned(), file, "--".to_owned()]
    });
    let arguments = arguments.iter().map(|&it| it.to_owned());
    enter
        .chain([oci::program().to_owned()])
        .chain(arguments)
        .collect()
}

/// How many processes have this path in their command line.
fn processes(path: &Path) -> usize {
    let text = path.to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .filter(|line| String::from_utf8_lossy(line).contains(text))
        .count()
}

/// A command in a terminal.
pub struct Terminal {
    writer: Box<dyn Write + Send>,
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    /// One of 80 by 24 cells with this command in it.
    pub fn start(command: CommandBuilder) -> Self {
        let size = PtySize {
            cols: 80,
            rows: 24,
            ..PtySize::default()
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = sync_channel(64);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            writer: pair.master.take_writer().unwrap(),
            master: pair.master,
            child,
            output,
            seen: String::new(),
        }
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Waits until `text` has come, and forgets what came up to it.
    pub fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(at) = self.seen.find(text) {
                let before = self.seen[..at].to_owned();
                self.seen.drain(..at + text.len());
                return before;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(error) => panic!("no {text:?} ({error}): {:?}", self.seen),
            }
        }
    }

    /// Changes its size.
    pub fn resize(&self, cols: u16, rows: u16) {
        let size = PtySize {
            cols,
            rows,
            ..PtySize::default()
        };
        self.master.resize(size).unwrap();
    }

    /// Whether the terminal echoes and waits for lines, as it does before and after.
    pub fn is_cooked(&self) -> bool {
        let flags = self.master.get_termios().unwrap().local_flags;
        let flags = format!("{flags:?}");
        flags.contains("ECHO") && flags.contains("ICANON")
    }

    /// Sends a signal to the command.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for the command's end; its code, and what was still printed.
    pub fn end(mut self) -> (u32, String) {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(200)) {
                    self.seen += &String::from_utf8_lossy(&bytes);
                }
                return (status.exit_code(), self.seen);
            }
            assert!(
                Instant::now() < deadline,
                "it does not end: {:?}",
                self.seen
            );
            while let Ok(bytes) = self.output.recv_timeout(Duration::from_millis(10)) {
                self.seen += &String::from_utf8_lossy(&bytes);
            }
        }
    }
}

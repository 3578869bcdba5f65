//! The command line as a client of a server.

use std::path::Path;
use std::process::{Output, Stdio};

use portable_pty::CommandBuilder;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::oci;
use super::run::Terminal;
use super::server::{TestServer, directory};
use super::wait::{LONG, within};

/// `shellport` as a user of one server has it.
pub struct CommandLine {
    home: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl CommandLine {
    /// One that knows the server and its token by variables.
    pub fn new(server: &TestServer) -> Self {
        let address = server.client.address.to_string();
        Self::at(&address, server.client.token.clone())
    }

    /// One for a server that is reached at `address`.
    pub fn at(address: &str, token: Option<String>) -> Self {
        let server = ("SHELLPORT_SERVER", format!("http://{address}"));
        let token = token.map(|token| ("SHELLPORT_TOKEN", token));
        Self {
            home: directory(),
            variables: [server].into_iter().chain(token).collect(),
        }
    }

    /// One that knows no server.
    pub fn stranger() -> Self {
        Self {
            home: directory(),
            variables: Vec::new(),
        }
    }

    /// Its user's home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// It, with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(oci::program());
        command
            .args(arguments)
            .current_dir(self.home())
            .env("HOME", self.home())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_DATA_HOME")
            .env_remove("SHELLPORT_DATA_DIR")
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// What it does.
    pub async fn output(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output();
        within("the command", LONG, output).await.unwrap()
    }

    /// What it does with this input.
    pub async fn with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // It need not read all of it.
        tokio::spawn(async move { stdin.write_all(&input).await });
        within("the command", LONG, child.wait_with_output())
            .await
            .unwrap()
    }

    /// What it prints, when all is well.
    pub async fn success(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// What it complains of.
    pub async fn failure(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments).await;
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// It, in a terminal.
    pub fn terminal(&self, arguments: &[&str]) -> Terminal {
        let mut command = CommandBuilder::new(oci::program());
        command.args(arguments);
        command.env("HOME", self.home());
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        Terminal::start(command)
    }
}

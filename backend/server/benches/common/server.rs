//! The real server as a child.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::http::Client;
use super::wait::{Result, STEP, within};

/// The program under measurement.
const PROGRAM: &str = env!("CARGO_BIN_EXE_shellport");

/// A server. It is killed when this is dropped.
pub struct Server {
    /// Who asks it.
    pub client: Client,
    child: Child,
    /// What it prints further is not read, but printing must not fail.
    _stdout: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Server {
    /// Starts one with these flags on a directory, which must not be there yet. What the runtime
    /// `oci` makes sandboxes from is imported before.
    pub async fn start(data_dir: &Path, flags: &[String]) -> Result<Self> {
        std::fs::create_dir(data_dir)?;
        if flags.iter().any(|flag| flag == "--runtime=oci") {
            import_images(data_dir).await?;
        }
        let log = data_dir.join("server.log");
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--listen=127.0.0.1:0"])
            .args(flags)
            .arg("--data-dir")
            .arg(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            // A Ctrl-C is for the benchmark, which then removes what the server has made.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the server has no stdout")?;
        let mut lines = BufReader::new(stdout).lines();
        let found: Result<String> = within("the server's address", STEP, async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, rest)) = line.split_once("http://") {
                    return Ok(rest.to_owned());
                }
            }
            let log = std::fs::read_to_string(&log)?;
            Err(format!("the server has ended: {log}").into())
        })
        .await
        .flatten();
        let found = found?;
        let address = found.trim().split_once("/#token=");
        let (address, token) = address.ok_or("the server's address is not understood")?;
        Ok(Self {
            client: Client {
                address: address.parse()?,
                token: token.to_owned(),
            },
            child,
            _stdout: lines,
            log,
        })
    }

    /// Its process.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.child.id().ok_or("the server has ended")?)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to end, and kills it when it does not.
    pub async fn end(&mut self) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?);
        kill(pid, Signal::SIGTERM)?;
        if timeout(STEP, self.child.wait()).await.is_err() {
            self.child.kill().await?;
            return Err(format!("the server does not end: {}", self.log()).into());
        }
        Ok(())
    }
}

async fn import_images(data_dir: &Path) -> Result<()> {
    let mut import = Command::new(PROGRAM);
    import.args(["image", "import"]).arg(archive()?);
    let done = import.env("SHELLPORT_DATA_DIR", data_dir).output().await?;
    if done.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&done.stderr).into_owned().into())
}

/// The archive of the tests' images.
fn archive() -> Result<PathBuf> {
    let directory = std::env::var("SHELLPORT_TEST_DIR")
        .map_err(|_| "there are no test images (SHELLPORT_TEST_DIR is not set)")?;
    for entry in std::fs::read_dir(directory)?.flatten() {
        let archive = entry.path().join("images.tar");
        if archive.exists() {
            return Ok(archive);
        }
    }
    Err("the tests' images are not made".into())
}

//! `shellport logs`: what a container in the background has said.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::{CommandError, Place};
use crate::cli::remote::{self, ServerPlace, session_of};
use crate::oci::directory::{Directory, State};
use crate::oci::monitor::{Record, older, read_log};

/// How often there is a look for more.
const LOOK: Duration = Duration::from_millis(100);

/// Print what a container in the background, or a session's terminal, has said, as far as it is kept.
#[derive(Args, Debug)]
pub struct LogsCommand {
    #[command(flatten)]
    place: Place,

    /// Go on until it ends.
    #[arg(long, short)]
    follow: bool,

    /// Only the last pieces of output, which are lines where a program writes lines.
    #[arg(long, short = 'n', value_name = "COUNT")]
    tail: Option<usize>,

    /// The time before each piece.
    #[arg(long, short)]
    timestamps: bool,

    #[command(flatten)]
    server: ServerPlace,

    /// The container, or a terminal of a session (@NAME or @NAME/TERMINAL).
    name: String,
}

impl LogsCommand {
    /// Prints it.
    ///
    /// # Errors
    /// When there is no such container.
    pub async fn run(self) -> Result<ExitCode, CommandError> {
        if let Some(session) = session_of(&self.name) {
            if self.timestamps {
                let what = "what a terminal has put out has none";
                return Err(CommandError::flag("--timestamps", what));
            }
            return remote::logs(&self.server, session, self.follow, self.tail).await;
        }
        self.server.refuse()?;
        let directory = self.place.find(&self.name)?;
        match self.print(&directory) {
            // Whoever has closed it does not want to hear more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
            result => {
                result.map_err(CommandError::host("reading what it has said"))?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }

    fn print(&self, directory: &Directory) -> io::Result<()> {
        let mut last = VecDeque::new();
        let mut keep = |record: Record| {
            last.push_back(record);
            if self.tail.is_some_and(|tail| last.len() > tail) {
                last.pop_front();
            }
        };
        if let Ok(mut file) = File::open(older(&directory.output())) {
            while let Some(record) = read_log(&mut file)? {
                keep(record);
            }
        }
        let Ok(mut file) = File::open(directory.output()) else {
            return Ok(());
        };
        while let Some(record) = read_whole(&mut file)? {
            keep(record);
        }
        for record in last {
            self.say(&record)?;
        }
        if !self.follow {
            return Ok(());
        }
        loop {
            // Looked at before the file: what comes after it is not missed.
            let runs = matches!(directory.state(), Ok(State::Running));
            while let Some(record) = read_whole(&mut file)? {
                self.say(&record)?;
            }
            // The monitor has begun another one.
            let newer = File::open(directory.output())
                .ok()
                .filter(|newer| number(newer) != number(&file));
            if let Some(newer) = newer {
                file = newer;
            } else if runs {
                std::thread::sleep(LOOK);
            } else {
                return Ok(());
            }
        }
    }

    fn say(&self, record: &Record) -> io::Result<()> {
        let mut bytes = Vec::new();
        if self.timestamps {
            let at = i64::try_from(record.at).ok();
            let at = at.and_then(|at| Timestamp::from_millisecond(at).ok());
            bytes.extend(format!("{} ", at.unwrap_or_default()).into_bytes());
        }
        bytes.extend(&record.bytes);
        if record.stream == 2 {
            return io::stderr().write_all(&bytes);
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&bytes)?;
        stdout.flush()
    }
}

/// The next whole record. Half a one is left for the next time.
fn read_whole(file: &mut File) -> io::Result<Option<Record>> {
    use std::io::Seek;
    let before = file.stream_position()?;
    let record = read_log(file)?;
    if record.is_none() {
        file.seek(io::SeekFrom::Start(before))?;
    }
    Ok(record)
}

fn number(file: &File) -> Option<u64> {
    file.metadata().ok().map(|found| found.ino())
}

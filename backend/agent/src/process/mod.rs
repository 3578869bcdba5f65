//! `shellport-agent process`: looks at the sandbox's processes, and signals them, with the rights that its user has
//! there. What it is asked and answers is in [`shellport_wire::process`].

mod list;
mod ports;
mod stats;

pub use self::ports::addresses;

use std::io::{self, Write};
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use shellport_wire::file::{Failure, FailureCode};
use shellport_wire::process::{Answer, Request};

/// How often ports are looked at. The kernel tells nobody of them.
const LOOK: Duration = Duration::from_millis(500);

/// Does what `request` says; the exit code.
pub fn main(request: &str) -> u8 {
    let done = serde_json::from_str(request)
        .map_err(|error| fail(FailureCode::Invalid, error.to_string()))
        .and_then(work);
    let (last, code) = match done {
        Ok(()) => (Answer::Done, 0),
        Err(failure) => (Answer::Failed(failure), 1),
    };
    match tell(&mut io::stdout().lock(), &last) {
        Ok(()) => code,
        Err(_) => 1,
    }
}

fn work(request: Request) -> Result<(), Failure> {
    match request {
        Request::List => {
            let mut output = io::BufWriter::new(io::stdout().lock());
            for process in list::list() {
                let told = tell(&mut output, &Answer::Process(process));
                told.map_err(|error| fail(FailureCode::Failed, error.to_string()))?;
            }
            Ok(())
        }
        Request::Ports { follow } => tell_ports(follow),
        Request::Stats { every_ms } => tell_stats(every_ms.map(Duration::from_millis)),
        Request::Signal { pid, signal, tree } => send(pid, &signal, tree),
    }
}

/// Tells of ports, and again when there are others, until nobody listens to it.
fn tell_ports(follow: bool) -> Result<(), Failure> {
    let mut told = None;
    loop {
        let ports = ports::of_all(&list::list());
        if told.as_ref() != Some(&ports) {
            let answer = Answer::Ports {
                ports: ports.clone(),
            };
            let done = tell(&mut io::stdout().lock(), &answer);
            done.map_err(|error| fail(FailureCode::Failed, error.to_string()))?;
            told = Some(ports);
        }
        if !follow {
            return Ok(());
        }
        sleep(LOOK);
    }
}

/// Tells what the sandbox uses, once or until nobody listens to it.
fn tell_stats(every: Option<Duration>) -> Result<(), Failure> {
    loop {
        let stats = stats::now(&list::list(), list::is_whole());
        let done = tell(&mut io::stdout().lock(), &Answer::Stats(stats));
        done.map_err(|error| fail(FailureCode::Failed, error.to_string()))?;
        match every {
            Some(every) => sleep(every),
            None => return Ok(()),
        }
    }
}

fn send(pid: i32, signal: &str, tree: bool) -> Result<(), Failure> {
    let signal: Signal = signal.parse().map_err(|_| {
        let message = format!("signal: there is no {signal:?}; one is SIGTERM");
        fail(FailureCode::Invalid, message)
    })?;
    let all = list::list();
    if !all.iter().any(|process| process.pid == pid) {
        let message = format!("there is no process {pid}");
        return Err(fail(FailureCode::NotFound, message));
    }
    let mut chosen = vec![pid];
    if tree {
        // Parents come before their children.
        for process in &all {
            if process
                .parent
                .is_some_and(|parent| chosen.contains(&parent))
            {
                chosen.push(process.pid);
            }
        }
    }
    let mut failure = None;
    for one in chosen {
        match kill(Pid::from_raw(one), signal) {
            // It may have ended just now.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => failure = Some((one, error)),
        }
    }
    let Some((one, error)) = failure else {
        return Ok(());
    };
    let code = match error {
        Errno::EPERM => FailureCode::Forbidden,
        _ => FailureCode::Failed,
    };
    Err(fail(code, format!("process {one}: {error}")))
}

fn tell(output: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

fn fail(code: FailureCode, message: String) -> Failure {
    Failure { code, message }
}

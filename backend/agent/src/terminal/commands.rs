//! The commands that a shell has run in a terminal, as it marks them itself (OSC 133).

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use shellport_screen::Said;
use shellport_wire::agent::{self as wire, MAX_LISTED};
use tokio::time::Instant;

use crate::clock::{milliseconds, since_1970};

/// The most that are kept; the oldest are forgotten first.
const MOST: usize = 128;

/// The longest name of a directory that is kept, in bytes.
const MAX_DIRECTORY: usize = 1024;

/// The most bytes of text in one answer, which is one frame. Quoted, they may be twice as many.
const MAX_TEXT: usize = 24 * 1024;

/// The last commands.
#[derive(Debug, Default)]
pub struct Commands {
    kept: VecDeque<Command>,
    count: u64,
    /// Where and when the terminal's program ended. What has been put out before may still be drawn after that.
    finished: Option<(u64, Instant)>,
}

#[derive(Debug)]
struct Command {
    number: u64,
    text: Option<String>,
    directory: Option<String>,
    begun: (SystemTime, Instant),
    from: u64,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug)]
struct End {
    to: u64,
    duration: Duration,
    code: Option<i32>,
}

impl Commands {
    /// Takes in what the shell has said in output that begins at `offset`.
    pub fn hear(&mut self, said: Said, offset: u64) {
        let end = offset + said.end as u64;
        let begin = end.saturating_sub(said.length as u64);
        let mut parts = said.mark.split(';');
        match parts.next() {
            Some("C") => {
                self.end(begin, None);
                if self.kept.len() == MOST {
                    self.kept.pop_front();
                }
                self.count += 1;
                self.kept.push_back(Command {
                    number: self.count,
                    text: said.command,
                    directory: Some(said.directory)
                        .filter(|it| !it.is_empty() && it.len() <= MAX_DIRECTORY),
                    begun: (SystemTime::now(), Instant::now()),
                    from: end,
                    end: None,
                });
            }
            Some("D") => self.end(begin, parts.next().and_then(|code| code.parse().ok())),
            // A shell that says nothing of the end.
            Some("A") => self.end(begin, None),
            _ => {}
        }
    }

    /// The one that runs, if any does, has ended.
    fn end(&mut self, to: u64, code: Option<i32>) {
        if let Some(last) = self.kept.back_mut()
            && last.end.is_none()
        {
            last.end = Some(End {
                to: to.max(last.from),
                duration: last.begun.1.elapsed(),
                code,
            });
        }
    }

    /// The program of the terminal has ended, and with it whatever ran.
    pub fn finish(&mut self, to: u64) {
        self.finished = Some((to, Instant::now()));
    }

    /// Those after the one with this number, the oldest first, and whether there are more.
    pub fn after(&self, number: u64) -> (Vec<wire::Command>, bool) {
        let all = self.kept.iter().filter(|it| it.number > number);
        let mut told: Vec<wire::Command> = Vec::new();
        let mut bytes = 0;
        for command in all {
            let size = |text: &Option<String>| text.as_ref().map_or(0, String::len);
            bytes += size(&command.text) + size(&command.directory);
            if told.len() == MAX_LISTED || bytes > MAX_TEXT {
                return (told, true);
            }
            told.push(command.describe(self.finished));
        }
        (told, false)
    }
}

impl Command {
    /// What is told of it; a program that has ended has taken it along.
    fn describe(&self, finished: Option<(u64, Instant)>) -> wire::Command {
        let taken_along = finished.map(|(to, at)| End {
            to: to.max(self.from),
            duration: at.saturating_duration_since(self.begun.1),
            code: None,
        });
        let end = self.end.or(taken_along);
        let duration = end.map_or_else(|| self.begun.1.elapsed(), |end| end.duration);
        wire::Command {
            number: self.number,
            text: self.text.clone(),
            directory: self.directory.clone(),
            started_ms: since_1970(self.begun.0),
            duration_ms: milliseconds(duration),
            from: self.from,
            to: end.map(|end| end.to),
            code: end.and_then(|end| end.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(mark: &str, end: usize) -> Said {
        Said {
            mark: mark.to_owned(),
            length: 10,
            end,
            command: mark.starts_with('C').then(|| "ls".to_owned()),
            directory: "/tmp".to_owned(),
        }
    }

    #[test]
    fn a_command_is_from_its_mark_to_the_next() {
        let mut commands = Commands::default();
        commands.hear(said("D;1", 5), 0);
        assert_eq!(commands.after(0), (vec![], false), "none has begun");
        commands.hear(said("C", 20), 100);
        commands.hear(said("D;7", 50), 100);
        commands.hear(said("D;8", 60), 100);
        commands.hear(said("C", 20), 200);
        let (told, more) = commands.after(0);
        let shown: Vec<_> = told
            .iter()
            .map(|it| (it.number, it.from, it.to, it.code))
            .collect();
        assert_eq!(shown, [(1, 120, Some(140), Some(7)), (2, 220, None, None)]);
        assert!(!more);
        commands.finish(300);
        assert_eq!(commands.after(1).0[0].to, Some(300));
        // What the shell said before that may be drawn later.
        commands.hear(said("D;9", 60), 220);
        let last = commands.after(1).0.remove(0);
        assert_eq!((last.to, last.code), (Some(270), Some(9)));
    }

    #[test]
    fn what_is_kept_and_told_is_bounded() {
        let mut commands = Commands::default();
        for _ in 0..MOST + 2 {
            commands.hear(said("C", 20), 0);
        }
        let (told, more) = commands.after(0);
        assert_eq!((told.len(), told[0].number, more), (MAX_LISTED, 3, true));
        let (told, more) = commands.after(MOST as u64);
        assert_eq!((told.len(), more), (2, false));
    }
}

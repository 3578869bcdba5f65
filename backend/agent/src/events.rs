//! What happens in the sandbox, for servers that follow it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::time::SystemTime;

use shellport_wire::agent::{Happened, Response, Status};
use tokio::sync::Notify;

use crate::clock::since_1970;
use crate::link::{FrameReader, FrameWriter};

/// The most events that are kept for those who follow; the oldest go first.
const MOST: usize = 256;

/// The last events.
#[derive(Default)]
pub struct Events {
    kept: RefCell<VecDeque<(u64, Happened)>>,
    /// How many there have been.
    count: Cell<u64>,
    news: Notify,
}

impl Events {
    /// Tells of one.
    pub fn tell(&self, happened: Happened) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() == MOST {
            kept.pop_front();
        }
        kept.push_back((since_1970(SystemTime::now()), happened));
        self.count.set(self.count.get() + 1);
        self.news.notify_waiters();
    }

    /// Tells a server how the agent does and what happens after that, until it goes.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn serve(
        &self,
        status: impl Fn() -> Status,
        reader: &mut FrameReader,
        writer: &mut FrameWriter,
    ) -> io::Result<()> {
        let mut told = self.count.get();
        let first = Response::Status(status());
        let telling = async {
            writer.message(&first).await?;
            loop {
                let news = self.news.notified();
                match self.next(&mut told) {
                    Some(missed @ Response::Missed { .. }) => {
                        // What is in the status need not have been heard of.
                        let status = Response::Status(status());
                        writer.message(&missed).await?;
                        writer.message(&status).await?;
                    }
                    Some(response) => writer.message(&response).await?,
                    None => news.await,
                }
            }
        };
        tokio::select! {
            told = telling => told,
            // It says nothing; when it does, it has gone wrong.
            heard = reader.next() => heard.map(drop),
        }
    }

    /// What comes behind the first `told`, if anything does.
    fn next(&self, told: &mut u64) -> Option<Response> {
        let kept = self.kept.borrow();
        let first = self.count.get() - kept.len() as u64;
        if *told < first {
            let count = first - *told;
            *told = first;
            return Some(Response::Missed { count });
        }
        let index = usize::try_from(*told - first).unwrap_or(usize::MAX);
        let (at_ms, happened) = kept.get(index)?.clone();
        *told += 1;
        Some(Response::Event { at_ms, happened })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missed_is_counted() {
        let events = Events::default();
        let closed = |number: usize| Happened::TerminalClosed {
            terminal: number.to_string(),
        };
        let mut told = 0;
        assert_eq!(events.next(&mut told), None);
        for number in 0..MOST + 3 {
            events.tell(closed(number));
        }
        assert_eq!(events.next(&mut told), Some(Response::Missed { count: 3 }));
        for number in 3..MOST + 3 {
            let Some(Response::Event { happened, .. }) = events.next(&mut told) else {
                panic!("there are more");
            };
            assert_eq!(happened, closed(number));
        }
        assert_eq!(events.next(&mut told), None);
    }
}

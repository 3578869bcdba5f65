//! The thread on which screens are drawn.
//!
//! Drawing takes longer than reading, and a PTY holds only some KiB: while nobody reads it, its
//! program stands still. So the output of all terminals is drawn on one other thread, in the order
//! in which it came, and what waits there is bounded.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use shellport_wire::viewer::Size;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::screen::{Screen, Title};

/// How many pieces of work may wait, of all terminals together.
const PLACES: usize = 8;

/// How many of them may be one terminal's, so that one that is slow to draw does not take them all.
const TURNS: usize = 4;

/// The thread's stack, in bytes. The emulator does not recurse.
const STACK: usize = 256 * 1024;

type Work = Box<dyn FnOnce() + Send>;

/// The thread; a clone is another way to it.
#[derive(Clone)]
pub struct Painter(mpsc::Sender<Work>);

/// Room for one piece of a terminal's work.
pub struct Place {
    room: mpsc::OwnedPermit<Work>,
    turn: OwnedSemaphorePermit,
}

impl Painter {
    /// Starts the thread. It ends with the last way to it.
    ///
    /// # Errors
    /// When the sandbox may have no more threads.
    pub fn start() -> io::Result<Self> {
        let (painter, mut queue) = mpsc::channel::<Work>(PLACES);
        thread::Builder::new()
            .name("painter".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                while let Some(work) = queue.blocking_recv() {
                    work();
                }
            })?;
        Ok(Self(painter))
    }
}

/// The emulator's answers to what a program asks, as bytes for its input.
pub type Answers = mpsc::Receiver<Vec<u8>>;

/// A terminal's screen. What is asked of it happens on the painter's thread, in order.
pub struct Canvas {
    painter: Painter,
    turns: Arc<Semaphore>,
    screen: Arc<Mutex<Screen>>,
    title: Title,
    answers: mpsc::Sender<Vec<u8>>,
}

impl Canvas {
    /// An empty screen.
    pub fn new(size: Size, painter: Painter) -> (Self, Answers) {
        let screen = Screen::new(size);
        let (answers, answered) = mpsc::channel(PLACES);
        let canvas = Self {
            painter,
            turns: Arc::new(Semaphore::new(TURNS)),
            title: screen.title(),
            screen: Arc::new(Mutex::new(screen)),
            answers,
        };
        (canvas, answered)
    }

    /// Waits for room.
    pub async fn place(&self) -> Place {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.expect("it is never closed");
        let room = self.painter.0.clone().reserve_owned().await;
        let room = room.expect("the thread goes on while there is a way to it");
        Place { room, turn }
    }

    /// The title that a program set last.
    pub fn title(&self) -> String {
        self.title.text()
    }

    /// Draws `output`, which was made for `size`. What it asks is answered, if `answer`.
    pub fn draw(&self, output: Vec<u8>, size: Size, answer: bool, place: Place) {
        let answers = self.answers.clone();
        self.work(size, place, move |screen| {
            screen.advance(&output);
            let given = screen.take_answers();
            if answer && !given.is_empty() {
                // Nobody listens when the program has ended.
                let _ = answers.blocking_send(given);
            }
        });
    }

    /// See [`Screen::snapshot`]: of what was to be drawn until now, in `size`, and nothing after.
    pub fn snapshot(&self, size: Size, place: Place) -> oneshot::Receiver<(Vec<u8>, u64)> {
        let (reply, snapshot) = oneshot::channel();
        self.work(size, place, |screen| {
            // The viewer may have gone meanwhile.
            let _ = reply.send(screen.snapshot());
        });
        snapshot
    }

    fn work(&self, size: Size, place: Place, work: impl FnOnce(&mut Screen) + Send + 'static) {
        let screen = Arc::clone(&self.screen);
        let Place { room, turn } = place;
        room.send(Box::new(move || {
            let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
            screen.resize(size);
            work(&mut screen);
            drop(turn);
        }));
    }
}

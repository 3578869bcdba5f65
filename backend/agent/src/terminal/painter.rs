//! The thread on which screens are drawn.
//!
//! Drawing takes longer than reading, and a PTY holds only some KiB: while nobody reads it, its
//! program stands still. So the output of all terminals is drawn on one other thread, in the order
//! in which it came, and what waits there is bounded.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use shellport_wire::viewer::Size;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::commands::Commands;
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

/// What a program has asked.
#[derive(Debug)]
pub struct Question {
    /// Where the output with it begins and ends.
    pub from: u64,
    pub to: u64,
    /// What the emulator says to it, as bytes for the program's input.
    pub answer: Vec<u8>,
}

/// A terminal's screen. What is asked of it happens on the painter's thread, in order.
pub struct Canvas {
    painter: Painter,
    turns: Arc<Semaphore>,
    screen: Arc<Mutex<Screen>>,
    title: Title,
    questions: Arc<Mutex<Vec<Question>>>,
    commands: Arc<Mutex<Commands>>,
    /// There are questions.
    pub asked: Arc<Notify>,
}

impl Canvas {
    /// An empty screen.
    pub fn new(size: Size, painter: Painter) -> Self {
        let screen = Screen::new(size);
        Self {
            painter,
            turns: Arc::new(Semaphore::new(TURNS)),
            title: screen.title(),
            screen: Arc::new(Mutex::new(screen)),
            questions: Arc::default(),
            commands: Arc::default(),
            asked: Arc::default(),
        }
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

    /// Draws `output`, which begins at the offset `from` and was made for `size`.
    pub fn draw(&self, output: Vec<u8>, from: u64, size: Size, place: Place) {
        let (questions, asked) = (Arc::clone(&self.questions), Arc::clone(&self.asked));
        let commands = Arc::clone(&self.commands);
        self.work(size, place, move |screen| {
            screen.advance(&output);
            let said = screen.take_said();
            if !said.is_empty() {
                let mut commands = commands.lock().unwrap_or_else(PoisonError::into_inner);
                for it in said {
                    commands.hear(it, from);
                }
            }
            let answer = screen.take_answers();
            if !answer.is_empty() {
                let to = from + output.len() as u64;
                let mut questions = questions.lock().unwrap_or_else(PoisonError::into_inner);
                questions.push(Question { from, to, answer });
                asked.notify_one();
            }
        });
    }

    /// What has been asked since this was last called, in what has been drawn.
    pub fn questions(&self) -> Vec<Question> {
        let mut questions = self
            .questions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut questions)
    }

    /// The commands in what has been drawn.
    pub fn commands(&self) -> MutexGuard<'_, Commands> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
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

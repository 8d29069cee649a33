//! The agent: a process that holds stores' keys and works with them for this user's other processes.
//!
//! Lives here: connections, their limits, and the threads that work. Never here: what is done with the keys (that is
//! `keyring`), or how it is started (that is `client`).
//!
//! One thread waits on all connections; a request that has come whole goes to a worker. So a client that is slow, silent or
//! talks nonsense costs one buffer and a few seconds of patience; so does one that does not read its answer, of which that
//! thread writes what did not go at once. What takes long has a worker of its own: one for what is large, so that memory is
//! bounded, and one for questions to a person.

mod outgoing;

use std::io;
use std::io::Read;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use zeroize::Zeroizing;

use crate::format::ENTRY_MAX_BYTES;
use crate::secret::Secret;
use crate::session::agent::outgoing::Outgoing;
use crate::session::ask::Asker;
use crate::session::client;
use crate::session::keyring::Answer;
use crate::session::keyring::Keyring;
use crate::session::keyring::Question;
use crate::session::protocol;
use crate::session::protocol::HANDED;
use crate::session::protocol::LENGTH_BYTES;
use crate::session::protocol::REQUEST_MAX_BYTES;
use crate::session::protocol::Request;
use crate::sys::Env;
use crate::sys::clock::Machine;
use crate::sys::clock::Ticks;
use crate::sys::mem;
use crate::sys::socket;

/// The socket's name in its folder.
pub const SOCKET: &str = "agent.sock";
/// Most connections at a time; fewer where the limit of open files is low.
const CONNECTIONS_MAX: usize = 512;
/// How long a client may take for a request, and for reading its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one may be silent while others wait for its place.
const SILENCE: Duration = Duration::from_secs(1);
/// How long an agent waits for its first keys.
const FIRST_KEYS: Duration = Duration::from_secs(10);
/// How often it looks around without being asked: after a suspend, keys are forgotten within this time at the latest.
const LOOK_AROUND: Duration = Duration::from_secs(5);
/// Most questions that wait for an answer.
const QUESTIONS_MAX: usize = 8;
/// Most threads for small requests.
const WORKERS_MAX: usize = 4;

/// Most bytes of answers that wait to be read; above, whoever has waited longest is sent away.
const UNREAD_MAX_BYTES: usize = 128 << 20;

/// A client, and what it has sent of a request.
struct Connection {
    stream: UnixStream,
    pid: i32,
    /// The length, then the frame; as large as the frame will be once its length is known.
    buffer: Zeroizing<Vec<u8>>,
    filled: usize,
    files: Vec<OwnedFd>,
    /// When it connected, or was last answered.
    since: Duration,
}

/// A request that has come whole.
struct Job {
    connection: Connection,
}

/// What comes back to the thread that waits.
enum Back {
    Connection(Connection),
    /// An answer that was not taken whole.
    Unread(Connection, Outgoing),
    /// Whoever makes it end.
    End(Connection),
}

/// What the workers share.
struct Office {
    env: Arc<Env>,
    keyring: Arc<Keyring>,
    back: Mutex<mpsc::Sender<Back>>,
    waker: UnixStream,
    questions: mpsc::Sender<(Connection, Box<Question>)>,
    waiting: AtomicUsize,
}

/// Why an agent serves no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing is left to be held, or clients find another socket by now.
    Over,
    /// Some keys are forgotten and others are not: another image of the program goes on, and this one's memory goes.
    Renew,
}

/// Serves until keys are forgotten, or until `is_in_place` says that clients find another socket by now.
pub fn serve(
    env: Arc<Env>,
    listener: &UnixListener,
    keyring: &Arc<Keyring>,
    is_in_place: &dyn Fn() -> bool,
) -> io::Result<End> {
    listener.set_nonblocking(true)?;
    let most = CONNECTIONS_MAX.min(mem::raise_open_files(4 * CONNECTIONS_MAX as u64) / 4);
    let (waker, woken) = UnixStream::pair()?;
    woken.set_nonblocking(true)?;
    waker.set_nonblocking(true)?;
    let (back, returned) = mpsc::channel();
    let (questions, asked) = mpsc::channel();
    let office = Arc::new(Office {
        env,
        keyring: keyring.clone(),
        back: Mutex::new(back),
        waker,
        questions,
        waiting: AtomicUsize::new(0),
    });
    let small = workers(&office, threads());
    let large = workers(&office, 1);
    let asking = office.clone();
    std::thread::spawn(move || {
        for (connection, question) in asked {
            asking.waiting.fetch_sub(1, Ordering::SeqCst);
            asking.answer(connection, question.ask(&asking.keyring));
        }
    });
    let mut hall = Hall {
        connections: Vec::new(),
        unread: Vec::new(),
        most,
        began: Machine.awake(),
    };
    loop {
        let left = keyring.expire();
        let has_waited = Machine.awake() > hall.began + FIRST_KEYS;
        if (left.is_none() && (has_waited || keyring.had_any())) || !is_in_place() {
            return Ok(End::Over);
        }
        if left.is_some() && keyring.has_forgotten() {
            return Ok(End::Renew);
        }
        hall.wait(listener, &woken, left.unwrap_or(FIRST_KEYS))?;
        while let Ok(back) = returned.try_recv() {
            match back {
                Back::Connection(connection) => hall.connections.push(connection),
                Back::Unread(connection, outgoing) => hall.unread.push((connection, outgoing)),
                Back::End(connection) => {
                    keyring.forget();
                    // It ends, whether the client reads that or not.
                    let _ = Outgoing::new(Answer::End).write(&connection.stream);
                    // It closes with the process: the client waits for that, and then finds neither memory nor socket.
                    std::mem::forget(connection);
                    return Ok(End::Over);
                }
            }
        }
        hall.write();
        hall.accept(listener);
        for connection in hall.take_ready() {
            let queue = if connection.is_large() {
                &large
            } else {
                &small
            };
            // The workers live as long as the queue.
            let _ = queue.send(Job { connection });
        }
        hall.send_away();
    }
}

/// Hands everything that is held on to a stream, for the image of the program that goes on.
pub fn hand_on(keyring: &Keyring, stream: &UnixStream) -> io::Result<()> {
    // What does not fit into the stream's buffer is an error: nobody reads yet.
    stream.set_nonblocking(true)?;
    keyring.each(|hold| client::send(stream, &Request::Hold(hold)))
}

/// Takes what was handed on.
pub fn take_over(env: &Env, keyring: &Keyring, stream: UnixStream) -> io::Result<()> {
    let mut connection = Connection::new(stream, 0);
    loop {
        match connection.read() {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let mut files = std::mem::take(&mut connection.files).into_iter();
        let handed = connection.is_large().then(|| files.next()).flatten();
        let max = usize::try_from(ENTRY_MAX_BYTES).unwrap_or(usize::MAX);
        let handed = handed
            .map(|file| socket::read_sealed(file, max))
            .transpose()?;
        let request = Request::parse(connection.frame(), handed.as_ref().map(Secret::expose));
        let Some(Request::Hold(hold)) = request else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let asker = Asker::elsewhere(env, hold.terminal, hold.pinentry);
        keyring.answer(&Request::Hold(hold), asker, 0);
        connection = Connection::new(connection.stream, 0);
    }
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(WORKERS_MAX))
}

/// Some workers on one queue; they end with it.
fn workers(office: &Arc<Office>, count: usize) -> mpsc::Sender<Job> {
    let (sender, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..count {
        let (office, receiver) = (office.clone(), receiver.clone());
        std::thread::spawn(move || {
            loop {
                let job = receiver
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .recv();
                let Ok(job) = job else { return };
                office.work(job);
            }
        });
    }
    sender
}

/// The connections that wait.
struct Hall {
    connections: Vec<Connection>,
    /// Those that have not read their answers, longest first.
    unread: Vec<(Connection, Outgoing)>,
    most: usize,
    began: Duration,
}

impl Hall {
    /// Waits until something comes, but not much longer than `left`.
    fn wait(&self, listener: &UnixListener, woken: &UnixStream, left: Duration) -> io::Result<()> {
        let now = Machine.awake();
        let unread = || self.unread.iter().map(|(one, _)| one);
        let all = self.connections.iter().chain(unread());
        let first = all.map(|one| one.since).min();
        let patience = first.map(|since| (since + PATIENCE).saturating_sub(now));
        let is_full = self.is_full();
        let limit = left.min(LOOK_AROUND).min(patience.unwrap_or(LOOK_AROUND));
        let limit = if is_full { limit.min(SILENCE) } else { limit };
        // A little later than the limit, so that what is over is over.
        let limit = Timespec::try_from(limit + Duration::from_millis(10));
        let limit = limit.map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut ready = vec![PollFd::new(woken, PollFlags::IN)];
        if !is_full {
            ready.push(PollFd::new(listener, PollFlags::IN));
        }
        ready.extend(
            self.connections
                .iter()
                .map(|one| PollFd::new(&one.stream, PollFlags::IN)),
        );
        ready.extend(unread().map(|one| PollFd::new(&one.stream, PollFlags::OUT)));
        match rustix::event::poll(&mut ready, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut noted = [0; 256];
        while matches!((&mut &*woken).read(&mut noted), Ok(1..)) {}
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.connections.len() + self.unread.len() >= self.most
    }

    /// Writes of the answers what is taken; sends away who has waited longest where too much is left.
    fn write(&mut self) {
        for (connection, mut outgoing) in std::mem::take(&mut self.unread) {
            match outgoing.write(&connection.stream) {
                Ok(true) => self.connections.push(connection.anew()),
                Ok(false) => self.unread.push((connection, outgoing)),
                // Gone.
                Err(_) => {}
            }
        }
        let mut left: usize = self.unread.iter().map(|(_, one)| one.left()).sum();
        while left > UNREAD_MAX_BYTES && self.unread.len() > 1 {
            left -= self.unread.remove(0).1.left();
        }
    }

    /// Lets in who stands at the door, as far as there is room.
    fn accept(&mut self, listener: &UnixListener) {
        while !self.is_full() {
            let Ok((stream, _)) = listener.accept() else {
                return;
            };
            let Ok(pid) = socket::peer(&stream) else {
                continue;
            };
            if stream.set_nonblocking(true).is_ok() {
                self.connections.push(Connection::new(stream, pid));
            }
        }
    }

    /// Reads what has come; the connections whose request is whole.
    fn take_ready(&mut self) -> Vec<Connection> {
        let mut ready = Vec::new();
        let mut waiting = Vec::with_capacity(self.connections.len());
        for mut connection in self.connections.drain(..) {
            match connection.read() {
                Ok(true) => ready.push(connection),
                Ok(false) => waiting.push(connection),
                // Gone, or it talks nonsense.
                Err(_) => {}
            }
        }
        self.connections = waiting;
        ready
    }

    /// Sends away who has taken too long; where others wait, who is silent.
    fn send_away(&mut self) {
        let now = Machine.awake();
        let patience = if self.is_full() { SILENCE } else { PATIENCE };
        let may_stay = |one: &Connection| now.saturating_sub(one.since) < patience;
        self.connections.retain(may_stay);
        self.unread.retain(|(one, _)| may_stay(one));
    }
}

impl Connection {
    fn new(stream: UnixStream, pid: i32) -> Self {
        Self {
            stream,
            pid,
            buffer: Zeroizing::new(vec![0; LENGTH_BYTES]),
            filled: 0,
            files: Vec::new(),
            since: Machine.awake(),
        }
    }

    /// Reads what has come; whether the request is whole.
    fn read(&mut self) -> io::Result<bool> {
        loop {
            let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
            if free.is_empty() {
                if self.buffer.len() > LENGTH_BYTES {
                    return Ok(true);
                }
                self.make_room()?;
                continue;
            }
            match socket::receive(&self.stream, free, &mut self.files) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The length is known: the buffer gets its final size before a secret lies in it.
    fn make_room(&mut self) -> io::Result<()> {
        let length = self
            .buffer
            .first_chunk()
            .map_or(0, |first| u32::from_be_bytes(*first));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(2..=REQUEST_MAX_BYTES).contains(&length) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.buffer = Zeroizing::new(vec![0; LENGTH_BYTES + length]);
        Ok(())
    }

    /// The same connection, ready for another request.
    fn anew(self) -> Self {
        let Self { stream, pid, .. } = self;
        Self::new(stream, pid)
    }

    fn frame(&self) -> &[u8] {
        self.buffer.get(LENGTH_BYTES..).unwrap_or_default()
    }

    /// Whether the last field comes as a file, which may be large.
    fn is_large(&self) -> bool {
        self.frame().get(1).is_some_and(|kind| kind & HANDED != 0)
    }
}

impl Office {
    fn work(&self, job: Job) {
        let mut connection = job.connection;
        let mut files = std::mem::take(&mut connection.files).into_iter();
        let frame = connection.frame();
        if !protocol::is_known(frame) {
            return self.answer(connection, Answer::OtherVersion);
        }
        let handed = connection.is_large().then(|| {
            let max = usize::try_from(ENTRY_MAX_BYTES).unwrap_or(usize::MAX);
            socket::read_sealed(files.next()?, max).ok()
        });
        let handed = match &handed {
            None => None,
            Some(Some(handed)) => Some(handed.expose()),
            Some(None) => return self.answer(connection, Answer::NotUnderstood),
        };
        let answer = match Request::parse(frame, handed) {
            None => Answer::NotUnderstood,
            Some(request) => {
                let asker = match &request {
                    Request::Hold(hold) => {
                        Asker::elsewhere(&self.env, hold.terminal, hold.pinentry)
                    }
                    _ => Asker::default(),
                };
                self.keyring.answer(&request, asker, connection.pid)
            }
        };
        match answer {
            Answer::Ask(question) if self.waiting.load(Ordering::SeqCst) < QUESTIONS_MAX => {
                self.waiting.fetch_add(1, Ordering::SeqCst);
                // The one who asks lives as long as this.
                let _ = self.questions.send((connection, question));
            }
            answer => self.answer(connection, answer),
        }
    }

    /// Writes what is taken at once; the rest is for the thread that waits.
    fn answer(&self, mut connection: Connection, answer: Answer) {
        if matches!(answer, Answer::End) {
            return self.give_back(Back::End(connection));
        }
        let mut outgoing = Outgoing::new(answer);
        connection.since = Machine.awake();
        match outgoing.write(&connection.stream) {
            Ok(true) => self.give_back(Back::Connection(connection.anew())),
            Ok(false) => self.give_back(Back::Unread(connection, outgoing)),
            // Gone.
            Err(_) => {}
        }
    }

    fn give_back(&self, back: Back) {
        let sender = self.back.lock().unwrap_or_else(PoisonError::into_inner);
        // Where nobody listens any more, the agent ends.
        let _ = sender.send(back);
        let _ = (&self.waker).write(&[0]);
    }
}

/// The bytes of a request as the agent would read them, from a connection that ends there: for the fuzz target.
#[doc(hidden)]
pub fn understands(frame: &[u8], handed: Option<&Secret>) -> bool {
    protocol::is_known(frame) && Request::parse(frame, handed.map(Secret::expose)).is_some()
}

//! The agent as its clients see it: found, started, asked. A [`Keeper`] whose keys lie in another process.

use std::ffi::OsStr;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use jiff::Timestamp;

use crate::crypto;
use crate::format::Document;
use crate::format::HEADER_MAX_BYTES;
use crate::format::SECRET_MAX_BYTES;
use crate::format::document::Domain;
use crate::secret::Secret;
use crate::session::agent::SOCKET;
use crate::session::pinentry;
use crate::session::protocol::Failure;
use crate::session::protocol::Hold;
use crate::session::protocol::INLINE_MAX_BYTES;
use crate::session::protocol::LENGTH_BYTES;
use crate::session::protocol::Open;
use crate::session::protocol::Reply;
use crate::session::protocol::Request;
use crate::session::protocol::Status;
use crate::store;
use crate::store::keeper::Keeper;
use crate::store::keeper::Look;
use crate::store::keeper::Opening;
use crate::store::keeper::Unopened;
use crate::sys::Env;
use crate::sys::clock::Machine;
use crate::sys::clock::Ticks;
use crate::sys::fs::Lock;
use crate::sys::process;
use crate::sys::socket;
use crate::sys::socket::Private;

/// The hidden verb that is the agent.
pub const AGENT_VERB: &str = "agent";
/// The variable that switches the agent off.
const VARIABLE: &str = "AGEVAULT_AGENT";
/// How long an answer may take: a person may be asked, and others before.
const ANSWER_MAX: Duration = Duration::from_secs(150);
/// How long it is tried to find an agent that is starting.
const START_MAX: Duration = Duration::from_secs(5);
/// How long an agent that closes the connection may take to end, and how often one looks.
const END_MAX: Duration = Duration::from_secs(5);
const END_LOOK: Duration = Duration::from_millis(2);
/// Most bytes of an answer: the largest document, and the frame around it.
const REPLY_MAX_BYTES: usize = SECRET_MAX_BYTES + 2 * HEADER_MAX_BYTES;

/// What an agent says of a store.
pub enum Found {
    /// There is none.
    NoAgent,
    /// There is one of another version, which is of no use.
    OtherVersion,
    /// It does not hold the store's keys.
    NotHeld,
    /// It does.
    Held(Box<Agent>),
}

/// A store's keys in the agent.
pub struct Agent {
    line: Line,
    store: String,
    purpose: &'static str,
    may_ask: bool,
    can_write: bool,
}

/// Whether there may be an agent at all.
pub fn is_wanted(env: &Env) -> bool {
    env.var_os(VARIABLE).is_none_or(|value| value != "off")
}

/// The folder of the socket: in the runtime directory, else in the local state. A runtime directory that is not there, or is
/// another user's (`su` leaves the variable), is none.
pub fn folder(env: &Env) -> PathBuf {
    let runtime = env.places.runtime.as_ref();
    let is_usable = |path: &&PathBuf| path.parent().is_some_and(socket::is_own_folder);
    runtime
        .filter(is_usable)
        .cloned()
        .unwrap_or_else(|| local_folder(env))
}

/// Where the socket lies for a session without a runtime directory.
fn local_folder(env: &Env) -> PathBuf {
    env.places.state.join("run")
}

/// Looks for an agent that holds a store's keys.
pub fn find(env: &Env, store: &str, purpose: &'static str) -> Found {
    let line = Line::new(env);
    let request = Request::Holds { store };
    let Ok(answer) = line.call(&request) else {
        return Found::NoAgent;
    };
    match Reply::parse(answer.expose()) {
        Some(Reply::NotHeld) => Found::NotHeld,
        Some(Reply::Held { can_write }) => Found::Held(Box::new(Agent {
            line,
            store: store.to_owned(),
            purpose,
            may_ask: !env.must_not_ask(),
            can_write,
        })),
        _ => Found::OtherVersion,
    }
}

/// Hands a store's keys to the agent, which is started if there is none. Whether it could lock them into memory.
pub fn hold(env: &Env, hold: Hold<'_>) -> io::Result<bool> {
    let line = Line::new(env);
    let deadline = Machine.awake() + START_MAX;
    // Of two that are started at once one stays, and may not listen yet; one that is just ending is in the way for a moment.
    while line.connect().is_err() {
        let was_there = start(env)?;
        if !was_there || Machine.awake() > deadline {
            break;
        }
    }
    let answer = line.call(&Request::Hold(hold))?;
    match Reply::parse(answer.expose()) {
        Some(Reply::Done) => Ok(true),
        Some(Reply::DoneUnlocked) => Ok(false),
        Some(Reply::OtherVersion(_)) | None => {
            let text = "an agent of another version is running: end it with vault lock";
            Err(io::Error::other(text))
        }
        Some(_) => Err(io::Error::other("the agent did not take the keys")),
    }
}

/// What the agent holds; none if there is no agent.
pub fn status(env: &Env) -> Option<Status> {
    let answer = Line::new(env).call(&Request::Status).ok()?;
    match Reply::parse(answer.expose()) {
        Some(Reply::Status(status)) => Some(status),
        _ => None,
    }
}

/// Makes the agent forget everything and end, whatever its version; whether there was one. That of this user's sessions
/// without a runtime directory is meant, too.
pub fn lock(env: &Env) -> io::Result<bool> {
    let (here, local) = (folder(env), local_folder(env));
    let is_other = local != here;
    let was_there = lock_at(here);
    let was_local = is_other && lock_at(local)?;
    Ok(was_there? || was_local)
}

fn lock_at(folder: PathBuf) -> io::Result<bool> {
    let line = Line::at(folder);
    let mut was_there = false;
    let deadline = Machine.awake() + END_MAX;
    while Machine.awake() < deadline {
        let stream = match line.connect() {
            Ok(stream) => stream,
            Err(error) if is_absent(&error) => return Ok(was_there),
            Err(error) => return Err(error),
        };
        was_there = true;
        match ask(&stream, &Request::Lock) {
            Ok(_) => {}
            // It was just ending, or becoming another image of itself, which is still to be told.
            Err(error) if is_end(&error) => {
                std::thread::sleep(END_LOOK);
                continue;
            }
            Err(error) => return Err(error),
        }
        // It has ended once the connection has.
        return match (&stream).read(&mut [0; 1]) {
            Ok(0) => Ok(true),
            Ok(_) => Err(io::ErrorKind::InvalidData.into()),
            Err(error) if is_end(&error) => Ok(true),
            Err(error) => Err(error),
        };
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// Whether the other end has closed.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind;
    let ends = [
        ErrorKind::UnexpectedEof,
        ErrorKind::ConnectionReset,
        ErrorKind::BrokenPipe,
    ];
    ends.contains(&error.kind())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// Starts an agent, and waits until it listens. Whether there was one already, which may be about to listen, or to end.
fn start(env: &Env) -> io::Result<bool> {
    let folder = folder(env);
    let args = [OsStr::new(AGENT_VERB), folder.as_os_str()];
    let kept = env.vars.iter().filter(|(name, _)| {
        name.to_str()
            .is_some_and(|name| pinentry::VARIABLES.contains(&name))
    });
    let variables: Vec<_> = kept
        .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
        .collect();
    let nothing = Secret::new(Vec::new());
    match process::spawn_detached(&args, &variables, &nothing)?.as_str() {
        "ready" => Ok(false),
        "taken" => Ok(true),
        answer => Err(io::Error::other(format!(
            "the agent did not start in {}: {answer}",
            folder.display()
        ))),
    }
}

/// A way to the agent: connections that are free, and how to make one.
struct Line {
    folder: PathBuf,
    free: Mutex<Vec<UnixStream>>,
}

impl Line {
    fn new(env: &Env) -> Self {
        Self::at(folder(env))
    }

    fn at(folder: PathBuf) -> Self {
        Self {
            folder,
            free: Mutex::default(),
        }
    }

    fn connect(&self) -> io::Result<UnixStream> {
        let stream = Private::open(&self.folder)?.connect(SOCKET)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_write_timeout(Some(ANSWER_MAX))?;
        Ok(stream)
    }

    /// Asks and waits for the answer. Where the connection fails, once more on a new one: the agent closes those that are
    /// silent, and asking twice does no harm.
    fn call(&self, request: &Request<'_>) -> io::Result<Secret> {
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(stream) = free
            && let Ok(answer) = ask(&stream, request)
        {
            self.keep(stream);
            return Ok(answer);
        }
        let stream = self.connect()?;
        let answer = match ask(&stream, request) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                let stream = self.connect()?;
                let answer = ask(&stream, request)?;
                self.keep(stream);
                answer
            }
            other => {
                let answer = other?;
                self.keep(stream);
                answer
            }
        };
        Ok(answer)
    }

    fn keep(&self, stream: UnixStream) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(stream);
    }
}

/// Sends a request, what is large in it as a file.
pub(super) fn send(mut stream: &UnixStream, request: &Request<'_>) -> io::Result<()> {
    let large = request.last().filter(|last| last.len() > INLINE_MAX_BYTES);
    let handed = large.map(socket::sealed).transpose()?;
    let frame = request.frame(handed.is_some());
    let files: Vec<&OwnedFd> = handed.iter().collect();
    socket::send(stream, frame.head.expose(), &files)?;
    stream.write_all(frame.tail)
}

/// One request and its answer's frame, without its length.
fn ask(mut stream: &UnixStream, request: &Request<'_>) -> io::Result<Secret> {
    send(stream, request)?;
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > REPLY_MAX_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut answer = zeroize::Zeroizing::new(vec![0; length]);
    stream.read_exact(&mut answer)?;
    Ok(Secret::new(std::mem::take(&mut *answer)))
}

impl Agent {
    fn request<'a>(&'a self, ciphertext: &'a [u8], domain: Domain) -> Open<'a> {
        Open {
            store: &self.store,
            domain,
            purpose: self.purpose,
            may_ask: self.may_ask,
            ciphertext,
        }
    }

    fn opening(&self, request: &Request<'_>) -> Result<Opening, Unopened> {
        let answer = self.line.call(request).map_err(|_| Unopened::Gone)?;
        let (header, size) = match Reply::parse(answer.expose()) {
            Some(Reply::Document { header, body }) => (header.to_owned(), body.len()),
            Some(Reply::Looked { header, size }) => {
                return Ok(Opening::Expired(look(header, size)));
            }
            other => return Err(unopened(other)),
        };
        let start = answer.len().saturating_sub(size);
        Ok(Opening::Document(Document {
            header,
            body: answer.split_off(start),
        }))
    }

    fn opened(&self, request: &Request<'_>) -> Result<Document, Unopened> {
        match self.opening(request)? {
            Opening::Document(document) => Ok(document),
            Opening::Expired(_) => Err(Unopened::Gone),
        }
    }

    fn looked(&self, request: &Request<'_>) -> Result<Look, Unopened> {
        let answer = self.line.call(request).map_err(|_| Unopened::Gone)?;
        match Reply::parse(answer.expose()) {
            Some(Reply::Looked { header, size }) => Ok(look(header, size)),
            other => Err(unopened(other)),
        }
    }

    fn made(&self, request: &Request<'_>) -> Result<Vec<u8>, store::Error> {
        let answer = self.line.call(request);
        let answer = answer.map_err(|_| store::Error::KeeperGone)?;
        match Reply::parse(answer.expose()) {
            Some(Reply::Bytes(bytes)) => Ok(bytes.to_vec()),
            Some(Reply::Failed(failure)) => Err(match failure {
                Failure::ReadOnly => store::Error::ReadOnly,
                Failure::TooLarge => store::Error::TooLarge,
                Failure::HeaderTooLarge => store::Error::HeaderTooLarge,
                Failure::Crypto => crypto::Error::NoRecipient.into(),
            }),
            other => Err(unopened(other).into()),
        }
    }
}

fn look(header: &str, size: u64) -> Look {
    Look {
        header: header.to_owned(),
        size: usize::try_from(size).unwrap_or(usize::MAX),
    }
}

fn unopened(reply: Option<Reply<'_>>) -> Unopened {
    match reply {
        Some(Reply::Refused(refusal)) => Unopened::Refused(refusal),
        Some(Reply::Denied(why)) => Unopened::Denied(String::new(), why.to_owned()),
        _ => Unopened::Gone,
    }
}

impl Keeper for Agent {
    fn open(&self, ciphertext: &[u8], domain: Domain) -> Result<Document, Unopened> {
        self.opened(&Request::Open(self.request(ciphertext, domain)))
    }

    fn look(&self, ciphertext: &[u8]) -> Result<Look, Unopened> {
        self.looked(&Request::Look(self.request(ciphertext, Domain::Entry)))
    }

    fn look_history(&self, ciphertext: &[u8]) -> Result<Look, Unopened> {
        self.looked(&Request::LookPast(self.request(ciphertext, Domain::Entry)))
    }

    fn open_unexpired(&self, ciphertext: &[u8], now: Timestamp) -> Result<Opening, Unopened> {
        let open = self.request(ciphertext, Domain::Entry);
        self.opening(&Request::OpenUnexpired(open, now.as_second()))
    }

    fn open_history(&self, ciphertext: &[u8]) -> Result<Document, Unopened> {
        self.opened(&Request::OpenPast(self.request(ciphertext, Domain::Entry)))
    }

    fn make(&self, header: &str, body: &Secret, domain: Domain) -> Result<Vec<u8>, store::Error> {
        if body.len() > SECRET_MAX_BYTES {
            return Err(store::Error::TooLarge);
        }
        if header.len() > HEADER_MAX_BYTES {
            return Err(store::Error::HeaderTooLarge);
        }
        self.made(&Request::Make {
            store: &self.store,
            domain,
            header,
            body: body.expose(),
        })
    }

    fn seal(&self, commit: &[u8]) -> Result<Vec<u8>, store::Error> {
        let store = &self.store;
        self.made(&Request::Seal { store, commit })
    }

    fn can_write(&self) -> bool {
        self.can_write
    }
}

/// What the agent does before it serves: the socket is bound, and nobody else's is in the way. `None` if another agent is
/// there already.
pub fn bind(folder: &Path) -> io::Result<Option<Bound>> {
    let private = Private::make(folder)?;
    let lock = Lock::try_acquire(&folder.join("agent.lock"));
    let Some(lock) = lock.map_err(|error| error.source)? else {
        return Ok(None);
    };
    let listener = private.bind(SOCKET)?;
    Ok(Some(Bound::new(private, listener, lock)))
}

/// A bound socket; removed when dropped, unless it is another's by then.
pub struct Bound {
    /// Where clients knock.
    pub listener: UnixListener,
    private: Private,
    inode: Option<u64>,
    lock: Lock,
}

impl Bound {
    fn new(private: Private, listener: UnixListener, lock: Lock) -> Self {
        Self {
            inode: private.inode(SOCKET),
            listener,
            private,
            lock,
        }
    }

    /// What an earlier image of this process has left in the three streams: held keys, socket and lock.
    pub fn inherited(folder: &Path) -> io::Result<(Self, UnixStream)> {
        let [keys, listener, lock] = process::take_streams()?;
        let private = Private::open(folder)?;
        let bound = Self::new(private, listener.into(), Lock::inherited(lock.into()));
        Ok((bound, keys.into()))
    }

    /// Becomes another image of this program, which goes on with what `keys` hands on. Returns only if that failed.
    pub fn renew(&self, env: &Env, folder: &Path, keys: UnixStream) -> io::Error {
        let streams = || -> io::Result<[OwnedFd; 3]> {
            let listener = self.listener.try_clone()?.into();
            Ok([keys.into(), listener, self.lock.handle()?])
        };
        match streams() {
            Ok(streams) => {
                let args = [
                    OsStr::new(AGENT_VERB),
                    folder.as_os_str(),
                    OsStr::new("--renewed"),
                ];
                process::renew(&args, &env.vars, streams)
            }
            Err(error) => error,
        }
    }

    /// Whether clients still find this socket.
    pub fn is_in_place(&self) -> bool {
        self.inode.is_some() && self.private.inode(SOCKET) == self.inode
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if self.is_in_place() {
            self.private.remove(SOCKET);
        }
    }
}

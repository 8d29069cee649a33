//! Real git over real ssh and https, on this machine: the user's own git settings count for the way, the store's do not.

use std::io::Read;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crate::sync::Clones;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

/// How long a server may take to begin.
const START_MAX: Duration = Duration::from_secs(20);

/// A server of this test; it ends with the test.
pub(crate) struct Server {
    child: Child,
    port: u16,
    pub(crate) folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server on a free port, and waits until it answers.
    fn start(
        folder: tempfile::TempDir,
        command: impl Fn(u16, &Path) -> Command,
        is_up: impl Fn(u16, &Path) -> bool,
    ) -> Self {
        let port = free_port();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = command(port, folder.path());
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(log).spawn().unwrap();
        let begun = Instant::now();
        while !is_up(port, folder.path()) {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
            assert!(
                begun.elapsed() < START_MAX && child.try_wait().unwrap().is_none(),
                "the server did not start: {log}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            port,
            folder,
        }
    }
}

/// A free port below those that the system gives to clients: one of these, asked too early, may answer itself.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 9000).unwrap();
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Whether sshd greets.
fn greets(port: u16) -> bool {
    let mut greeting = [0; 4];
    let connected = TcpStream::connect(("127.0.0.1", port));
    connected.is_ok_and(|mut stream| {
        let limit = stream.set_read_timeout(Some(Duration::from_secs(2)));
        limit.is_ok() && stream.read_exact(&mut greeting).is_ok() && &greeting == b"SSH-"
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn run(program: &str, args: &[&str]) {
    let output = Command::new(tool(program)).args(args).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
}

/// sshd, in its usual place or on the path.
fn sshd() -> PathBuf {
    let usual = PathBuf::from("/usr/sbin/sshd");
    if usual.exists() { usual } else { tool("sshd") }
}

/// Debian's sshd with keys of its own; what a client needs is in `config`.
pub(crate) fn ssh_server() -> Server {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for key in ["host", "client"] {
        run(
            "ssh-keygen",
            &["-q", "-t", "ed25519", "-N", "", "-f", &at(key)],
        );
    }
    std::fs::copy(at("client.pub"), at("authorized")).unwrap();
    // Where this runs as root, sshd wants the folder; it is made when the system starts.
    let _ = std::fs::create_dir("/run/sshd");
    let server = Server::start(
        folder,
        |port, folder| {
            let at = |name: &str| folder.join(name).display().to_string();
            let config = format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nAuthorizedKeysFile {}\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n",
                at("host"),
                at("authorized")
            );
            std::fs::write(at("sshd_config"), config).unwrap();
            let mut command = Command::new(sshd());
            command.args(["-D", "-e", "-f", &at("sshd_config")]);
            command
        },
        |port, _| greets(port),
    );
    let at = |name: &str| server.folder.path().join(name).display().to_string();
    let host = std::fs::read_to_string(at("host.pub")).unwrap();
    std::fs::write(at("known"), format!("[127.0.0.1]:{} {host}", server.port)).unwrap();
    let config = format!(
        "Host store\nHostName 127.0.0.1\nPort {}\nIdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {}\n\
         StrictHostKeyChecking yes\nBatchMode yes\n",
        server.port,
        at("client"),
        at("known")
    );
    std::fs::write(at("config"), config).unwrap();
    server
}

/// git's own http-backend behind TLS, for whoever knows the password.
const HTTPS: &str = r#"
import base64, http.server, os, ssl, subprocess, sys
port, root, cert, key, backend = int(sys.argv[1]), *sys.argv[2:6]
wanted = "Basic " + base64.b64encode(b"octocat:pass").decode()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    def log_message(self, *args): pass
    def do_GET(self):
        if self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="store"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        body = b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        env = dict(PATH=os.environ["PATH"], GIT_PROJECT_ROOT=root, GIT_HTTP_EXPORT_ALL="1", PATH_INFO=path,
            QUERY_STRING=query, REQUEST_METHOD=self.command, REMOTE_USER="octocat", CONTENT_LENGTH=str(len(body)),
            CONTENT_TYPE=self.headers.get("Content-Type", ""), HTTP_CONTENT_ENCODING=self.headers.get("Content-Encoding", ""),
            GIT_PROTOCOL=self.headers.get("Git-Protocol", ""), HOME=root)
        answer = subprocess.run([backend], input=body, env=env, stdout=subprocess.PIPE).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200 OK").split()[0]))
        fields["Content-Length"] = str(len(content))
        for field in fields.items(): self.send_header(*field)
        self.end_headers()
        self.wfile.write(content)
    do_POST = do_GET
server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
open(sys.argv[6], "w").close()
server.serve_forever()
"#;

fn https_server(root: &Path) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key) = (at("cert.pem"), at("key.pem"));
    run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            &key,
            "-out",
            &cert,
        ],
    );
    std::fs::write(at("server.py"), HTTPS).unwrap();
    let exec_path = Command::new(tool("git"))
        .arg("--exec-path")
        .output()
        .unwrap();
    let backend = String::from_utf8(exec_path.stdout)
        .unwrap()
        .trim()
        .to_owned();
    let backend = format!("{backend}/git-http-backend");
    assert!(Path::new(&backend).exists(), "this test needs {backend}");
    Server::start(
        folder,
        |port, folder| {
            let at = |name: &str| folder.join(name).display().to_string();
            let mut command = Command::new(tool("python3"));
            command.args([&at("server.py"), &port.to_string()]);
            command
                .arg(root)
                .args([&at("cert.pem"), &at("key.pem"), &backend, &at("up")]);
            command
        },
        |_, folder| folder.join("up").exists(),
    )
}

/// Adds to what the user has told git.
pub(crate) fn configure(device: &World, text: &str) {
    let path = device.home().join(".gitconfig");
    let old = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, format!("{old}{text}")).unwrap();
}

/// Two devices share a store over an address: cloned, changed on both, synced, merged.
fn share(clones: &Clones, url: &str, settings: &str) {
    let first = &clones.devices[0];
    configure(first, settings);
    first.vault(&["remote", "add", url]).run().ok();
    first.add("x", secret("x"));
    first.vault(&["sync"]).run().ok();
    let second = clones.device();
    configure(&second, settings);
    second.vault(&["clone", url]).run().ok();
    second.vault(&["tag", "x", "--tag", "second"]).run().ok();
    second.add("y", secret("y"));
    first.vault(&["tag", "x", "--tag", "first"]).run().ok();
    for device in [first, &second, first] {
        device.vault(&["sync"]).run().ok();
    }
    for device in [first, &second] {
        assert_eq!(device.names(), ["x", "y"]);
        let shown = device.vault(&["show", "x"]).run().ok().text();
        assert!(
            shown.contains("first") && shown.contains("second"),
            "{shown}"
        );
    }
}

#[test]
fn a_store_is_shared_over_ssh() {
    let server = ssh_server();
    let clones = Clones::new(1);
    let config = server.folder.path().join("config");
    let settings = format!("[core]\n\tsshCommand = ssh -F {}\n", config.display());
    let url = format!("ssh://store{}", clones.path().display());
    share(&clones, &url, &settings);
    // Nobody there: told, and nothing lost.
    drop(server);
    clones.devices[0].add("z", secret("z"));
    let _ = clones
        .vault(0, &["sync"])
        .fails_with(1)
        .says("git fetch failed");
    assert_eq!(
        clones.devices[0].get("z").unwrap(),
        secret("z").into_bytes()
    );
}

#[test]
fn a_store_is_shared_over_https() {
    let clones = Clones::new(1);
    let server = https_server(clones.path().parent().unwrap());
    let url = format!("https://localhost:{}/store.git", server.port);
    let cert = server.folder.path().join("cert.pem");
    let refused = clones.device();
    let said = refused.vault(&["clone", &url]).run().fails_with(1).stderr;
    let log = std::fs::read_to_string(server.folder.path().join("log")).unwrap();
    assert!(said.contains("certificate"), "{said}{log}");
    let helper = "!f() { echo username=octocat; echo password=pass; }; f";
    let settings = format!(
        "[http]\n\tsslCAInfo = {}\n[credential]\n\thelper = \"{helper}\"\n",
        cert.display()
    );
    share(&clones, &url, &settings);
}

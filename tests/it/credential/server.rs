//! Debian's apache2 with git's own http-backend behind TLS, on this machine, for the time of one test.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crate::sync::hosts::free_port;
use crate::sync::hosts::run;
use crate::world::World;
use crate::world::tool;

/// How long the server may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(20);
const MODULES: &str = "/usr/lib/apache2/modules";
/// What is loaded; Debian builds the rest in.
const LOADED: [&str; 14] = [
    "mpm_prefork",
    "alias",
    "auth_basic",
    "authn_core",
    "authn_file",
    "authz_core",
    "authz_user",
    "cgi",
    "env",
    "mime",
    "rewrite",
    "setenvif",
    "socache_shmcb",
    "ssl",
];

/// The files of objects that git-lfs moves, and what it asks: the smallest server of its kind, as a CGI.
const LFS: &str = r#"#!/usr/bin/env python3
import json, os, sys
root = os.environ["LFS_ROOT"]
path, length = os.environ.get("PATH_INFO", ""), int(os.environ.get("CONTENT_LENGTH") or 0)
body = sys.stdin.buffer.read(length)
def answer(status, kind, content):
    sys.stdout.buffer.write(f"Status: {status}\r\nContent-Type: {kind}\r\n\r\n".encode() + content)
if path == "/objects/batch":
    ask = json.loads(body)
    base = f"https://{os.environ['HTTP_HOST']}{os.environ['SCRIPT_NAME']}/objects/"
    one = lambda o: dict(o, actions={ask["operation"]: {"href": base + o["oid"]}})
    answer("200 OK", "application/vnd.git-lfs+json", json.dumps({"transfer": "basic", "objects": [one(o) for o in ask["objects"]]}).encode())
elif path.startswith("/objects/"):
    file = os.path.join(root, os.path.basename(path))
    if os.environ["REQUEST_METHOD"] == "PUT":
        open(file, "wb").write(body)
        answer("200 OK", "text/plain", b"")
    else:
        answer("200 OK", "application/octet-stream", open(file, "rb").read())
else:
    answer("404 Not Found", "application/json", b"{}")
"#;

/// A web server with repositories of two users: `/git/alice/x.git` and `/git/bob/x.git`, each for that user alone.
pub(super) struct Web {
    child: Child,
    pub(super) port: u16,
    folder: tempfile::TempDir,
}

impl Web {
    /// Starts it; users are given with their passwords. What is below `/away/` it sends to `away`.
    pub(super) fn start(users: &[(&str, &str)], away: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("vault-web-")
            .tempdir()
            .unwrap();
        let port = free_port();
        let at = |name: &str| folder.path().join(name);
        for name in ["git", "objects", "empty", "locks"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        certificate(folder.path());
        let mut list = String::new();
        for (user, password) in users {
            writeln!(list, "{user}:{}", hashed(password)).unwrap();
            repository(&at("git").join(user).join("x.git"));
        }
        std::fs::write(at("users"), list).unwrap();
        std::fs::write(at("lfs.py"), LFS).unwrap();
        std::fs::set_permissions(at("lfs.py"), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let names: Vec<&str> = users.iter().map(|(user, _)| *user).collect();
        std::fs::write(at("conf"), configuration(folder.path(), port, &names, away)).unwrap();
        if rustix::process::geteuid().is_root() {
            // Its workers are another user then.
            run(
                "chown",
                &[
                    "-R",
                    "www-data:www-data",
                    at("git").to_str().unwrap(),
                    at("objects").to_str().unwrap(),
                ],
            );
        }
        let program = ["/usr/sbin/apache2", "/usr/sbin/httpd"]
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.exists());
        let mut command = Command::new(program.unwrap_or_else(|| tool("apache2")));
        let log = std::fs::File::create(at("said")).unwrap();
        // When it ends it ends its process group: one of its own.
        command.process_group(0);
        command.arg("-f").arg(at("conf")).arg("-DFOREGROUND");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = |name: &str| std::fs::read_to_string(at(name)).unwrap_or_default();
            let is_over = begun.elapsed() > PATIENCE || child.try_wait().unwrap().is_some();
            assert!(
                !is_over,
                "apache2 did not start: {}{}",
                said("said"),
                said("error")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            port,
            folder,
        }
    }

    /// Its host, with the port.
    pub(super) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// An address there.
    pub(super) fn url(&self, path: &str) -> String {
        format!("https://{}/{path}", self.host())
    }

    /// Makes a device's git believe its certificate, beside those of others: where a redirect leads, the same ones count.
    pub(super) fn trust(&self, device: &World) {
        let bundle = device.home().join("ca.pem");
        let mut all = std::fs::read(&bundle).unwrap_or_default();
        all.extend(std::fs::read(self.folder.path().join("cert.pem")).unwrap());
        std::fs::write(&bundle, all).unwrap();
        let args = [
            "config",
            "--global",
            "http.sslCAInfo",
            bundle.to_str().unwrap(),
        ];
        device.program(tool("git"), &args).run().ok();
    }

    /// What it was asked: method, path, the user that it believed, and what was in the header `Authorization`.
    pub(super) fn asked(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("access")).unwrap_or_default()
    }

    /// A repository's branch `main`, as it is there.
    pub(super) fn head(&self, path: &str) -> String {
        let git = self.folder.path().join("git").join(path);
        let mut command = Command::new(tool("git"));
        command
            .args(["-c", "safe.directory=*", "-C"])
            .arg(git)
            .args(["log", "--format=%s", "main"]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }

    /// How many objects git-lfs has brought.
    pub(super) fn lfs_objects(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("objects"))
            .unwrap()
            .count()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        // Its workers end with it, if it is asked.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn certificate(folder: &Path) {
    let at = |name: &str| folder.join(name).display().to_string();
    let args = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost";
    let mut args: Vec<&str> = args.split(' ').collect();
    let (key, cert) = (at("key.pem"), at("cert.pem"));
    args.extend(["-keyout", &key, "-out", &cert]);
    run("openssl", &args);
}

/// A password as the server keeps it.
fn hashed(password: &str) -> String {
    let mut command = Command::new(tool("openssl"));
    let command = command.args(["passwd", "-apr1", "-stdin"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A bare repository with one commit.
fn repository(path: &Path) {
    let git = |args: &[&str]| {
        let mut command = Command::new(tool("git"));
        command.arg("--git-dir").arg(path).args(args);
        for (key, value) in [("NAME", "Octo Cat"), ("EMAIL", "octo@example.org")] {
            command
                .env(format!("GIT_AUTHOR_{key}"), value)
                .env(format!("GIT_COMMITTER_{key}"), value);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    std::fs::create_dir_all(path).unwrap();
    git(&["init", "--quiet", "--bare", "--initial-branch=main"]);
    let tree = git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let commit = git(&["commit-tree", "-m", "first", &tree]);
    git(&["update-ref", "refs/heads/main", &commit]);
}

fn configuration(folder: &Path, port: u16, users: &[&str], away: &str) -> String {
    let here = folder.display();
    let exec = Command::new(tool("git"))
        .arg("--exec-path")
        .output()
        .unwrap();
    let exec = String::from_utf8(exec.stdout).unwrap().trim().to_owned();
    let mut text = String::new();
    for name in LOADED {
        writeln!(text, "LoadModule {name}_module {MODULES}/mod_{name}.so").unwrap();
    }
    if rustix::process::geteuid().is_root() {
        text.push_str("User www-data\nGroup www-data\n");
    }
    write!(
        text,
        "ServerRoot {here}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {here}/pid\nDefaultRuntimeDir {here}/locks\n\
         Mutex file:{here}/locks default\nErrorLog {here}/error\nTypesConfig /dev/null\nDocumentRoot {here}/empty\n\
         LogFormat \"%m %U user=%u auth=%{{Authorization}}i %s\" asked\nCustomLog {here}/access asked\n\
         SSLEngine on\nSSLCertificateFile {here}/cert.pem\nSSLCertificateKeyFile {here}/key.pem\n\
         SetEnv GIT_PROJECT_ROOT {here}/git\nSetEnv GIT_HTTP_EXPORT_ALL\nSetEnv LFS_ROOT {here}/objects\n\
         SetEnvIf Git-Protocol \".+\" GIT_PROTOCOL=$0\n\
         ScriptAliasMatch ^/git/.*\\.git/info/lfs(/.*)?$ {here}/lfs.py$1\nScriptAlias /git/ {exec}/git-http-backend/\n\
         Redirect /away/ {away}\n\
         <Directory />\nRequire all granted\n</Directory>\n"
    )
    .unwrap();
    let protected = |path: &str, who: &str| {
        format!(
            "<Location {path}>\nAuthType Basic\nAuthName git\nAuthUserFile {here}/users\nRequire {who}\n</Location>\n"
        )
    };
    for user in users {
        text.push_str(&protected(&format!("/git/{user}"), &format!("user {user}")));
    }
    // Sent away only once it knows who asks.
    text.push_str(&protected("/later", "valid-user"));
    writeln!(text, "RewriteEngine on\n<Location /later>\nRewriteEngine on\nRewriteRule ^.*/later/(.*)$ {away}$1 [R=302,L]\n</Location>").unwrap();
    text
}

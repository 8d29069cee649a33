//! Real cargo against a local registry that wants a token, and real skopeo and docker against Debian's docker-registry.

use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crate::sync::hosts::free_port;
use crate::world::Output;
use crate::world::VAULT;
use crate::world::World;
use crate::world::secret;
use crate::world::tool;

/// How long a server may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);

/// A registry of crates with one crate in its index, for whoever has the token; it writes down what it is asked.
const CRATES: &str = r#"
import http.server, json, sys
port, token, log = int(sys.argv[1]), sys.stdin.readline().strip(), sys.argv[2]
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def do_GET(self):
        given = self.headers.get("Authorization")
        with open(log, "a") as out: out.write(f"{self.path} {'none' if given is None else 'right' if given == token else 'wrong'}\n")
        base = f"http://127.0.0.1:{port}"
        if given != token:
            return self.answer(401, b"", [("WWW-Authenticate", f'Cargo login_url="{base}/me"')])
        if self.path == "/idx/config.json":
            return self.answer(200, json.dumps({"dl": base + "/dl", "api": base, "auth-required": True}).encode(), [])
        if self.path == "/idx/no/th/nothere":
            line = {"name": "nothere", "vers": "1.0.0", "deps": [], "cksum": "0" * 64, "features": {}, "yanked": False}
            return self.answer(200, json.dumps(line).encode(), [])
        self.answer(404, b"", [])
    def answer(self, code, body, fields):
        self.send_response(code)
        for field in fields + [("Content-Length", str(len(body)))]: self.send_header(*field)
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"#;

/// A server of this test; it ends with the test.
struct Server {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Server {
    fn start(folder: tempfile::TempDir, port: u16, mut command: Command, stdin: &str) -> Self {
        let log = std::fs::File::create(folder.path().join("said")).unwrap();
        let command = command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.stderr(log).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), stdin.as_bytes()).unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = std::fs::read_to_string(folder.path().join("said")).unwrap();
            let is_over = begun.elapsed() > PATIENCE || child.try_wait().unwrap().is_some();
            assert!(!is_over, "the server did not start: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            port,
            folder,
        }
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn crates() -> Server {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    std::fs::write(folder.path().join("server.py"), CRATES).unwrap();
    let mut command = Command::new(tool("python3"));
    command
        .arg(folder.path().join("server.py"))
        .arg(port.to_string());
    command.arg(folder.path().join("asked"));
    Server::start(folder, port, command, &format!("{}\n", secret("crates")))
}

/// Debian's docker-registry, for one user; its images are its own.
fn images() -> Server {
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let at = |name: &str| folder.path().join(name).display().to_string();
    let mut hash = Command::new(tool("htpasswd"));
    let hash = hash
        .args(["-niB", "alice"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = hash.spawn().unwrap();
    std::io::Write::write_all(
        &mut child.stdin.take().unwrap(),
        secret("images").as_bytes(),
    )
    .unwrap();
    std::fs::write(at("users"), child.wait_with_output().unwrap().stdout).unwrap();
    let config = format!(
        "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n\
         auth:\n  htpasswd:\n    realm: images\n    path: {}\n",
        at("images"),
        at("users")
    );
    std::fs::write(at("config.yml"), config).unwrap();
    let mut command = Command::new(tool("docker-registry"));
    command.args(["serve", &at("config.yml")]);
    Server::start(folder, port, command, "")
}

/// A world in which the links of `plugins install` are on the path.
fn world() -> World {
    let mut world = World::with_store();
    let path = std::env::var_os("PATH").unwrap();
    let own = world.home().join(".local/bin");
    let folders = std::iter::once(own).chain(std::env::split_paths(&path));
    world.set("PATH", std::env::join_paths(folders).unwrap());
    world
}

/// A world with a project that needs a crate of that registry; and what cargo's configuration says.
fn project(server: &Server) -> (World, String) {
    let mut world = world();
    // The compiler is the one of this machine; nothing else of cargo's is.
    let usual = Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".rustup");
    let rustup = std::env::var_os("RUSTUP_HOME").unwrap_or(usual.into());
    world.set("RUSTUP_HOME", rustup);
    if let Some(toolchain) = std::env::var_os("RUSTUP_TOOLCHAIN") {
        world.set("RUSTUP_TOOLCHAIN", toolchain);
    }
    world.set("CARGO_HOME", world.home().join(".cargo"));
    let config = format!(
        "# mine\n[registries.loc]\nindex = \"sparse+http://{}/idx/\"\n",
        server.host()
    );
    world.write(".cargo/config.toml", &config);
    let manifest = "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\n\
        nothere = { version = \"1\", registry = \"loc\" }\n";
    world.write("x/Cargo.toml", manifest);
    world.write("x/src/lib.rs", "");
    let _ = world
        .vault(&["plugins", "install", "cargo"])
        .run()
        .ok()
        .says("cargo asks vault now");
    (world, config)
}

fn cargo(world: &World, args: &[&str], stdin: &str) -> Output {
    let run = world
        .program(env!("CARGO"), args)
        .cwd(&world.home().join("x"));
    run.stdin(stdin).run()
}

#[test]
fn cargo_gets_its_token() {
    let server = crates();
    let (world, config) = project(&server);
    let lock = || cargo(&world, &["generate-lockfile"], "");
    let _ = lock().fails_with(101).says("no token found for `loc`");
    // For another host, and for this one over https: neither is sent.
    let https = format!("https://{}", server.host());
    world.add_with(
        "other",
        secret("other"),
        &["--url", "http://127.0.0.1:1/idx"],
    );
    world.add_with("https", secret("https"), &["--url", &https]);
    lock().fails_with(101);
    let url = format!("http://{}/idx/", server.host());
    let expired = ["--url", &url, "--expires", "2020-01-01"];
    world.add_with("crates/loc", secret("outdated"), &expired);
    let _ = lock().fails_with(101).says("\"crates/loc\" expired");
    world.add_with("crates/loc", secret("crates"), &["--expires", "2099-01-01"]);
    lock().ok();
    let asked = std::fs::read_to_string(server.folder.path().join("asked")).unwrap();
    assert!(
        asked.contains("/idx/no/th/nothere right") && !asked.contains("wrong"),
        "{asked}"
    );
    world.vault(&["plugins", "remove", "cargo"]).run().ok();
    let left = std::fs::read_to_string(world.home().join(".cargo/config.toml")).unwrap();
    assert_eq!(left, config);
    assert!(
        !world
            .home()
            .join(".local/bin/cargo-credential-vault")
            .exists()
    );
}

#[test]
fn what_cargo_is_told_is_kept_only_where_that_is_wanted() {
    let server = crates();
    let (world, _) = project(&server);
    let login = |word: &str| {
        cargo(
            &world,
            &["login", "--registry", "loc"],
            &(secret(word) + "\n"),
        )
    };
    let _ = login("new").fails_with(101).says("vault does not keep it");
    world
        .vault(&["config", "set", "on-store", "add"])
        .run()
        .ok();
    login("new").ok();
    login("new").ok();
    let _ = login("another")
        .fails_with(101)
        .says("holds another secret");
    let _ = cargo(&world, &["logout", "--registry", "loc"], "")
        .fails_with(101)
        .says("vault deletes nothing");
    let names = world.names();
    assert!(
        names.len() == 1 && names[0].starts_with("cargo/127.0.0.1-"),
        "{names:?}"
    );
}

/// An image of no layer, as a folder that skopeo copies.
fn image(world: &World) -> String {
    let folder = world.home().join("image");
    let config = br#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    let name = agevault::crypto::sign::digest_hex(config);
    let manifest = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\",\"config\":{{\"mediaType\":\
         \"application/vnd.docker.container.image.v1+json\",\"size\":{},\"digest\":\"sha256:{name}\"}},\"layers\":[]}}",
        config.len()
    );
    world.write("image/version", "Directory Transport Version: 1.1\n");
    world.write("image/manifest.json", manifest);
    world.write(&format!("image/{name}"), config);
    format!("dir:{}", folder.display())
}

/// A world whose docker and skopeo ask vault for that registry.
fn containers(server: &Server) -> World {
    let mut world = world();
    let folder = world.home().join(".docker");
    world.set("REGISTRY_AUTH_FILE", folder.join("config.json"));
    world.set("DOCKER_CONFIG", folder);
    let args = ["plugins", "install", "docker", "--host", &server.host()];
    let _ = world.vault(&args).run().ok().says("docker asks vault now");
    world.write(
        "policy.json",
        "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}",
    );
    world
}

fn skopeo(world: &World, args: &[&str], stdin: &str) -> Output {
    let policy = world.home().join("policy.json").display().to_string();
    let args = [&["--policy", &policy], args].concat();
    world.program(tool("skopeo"), &args).stdin(stdin).run()
}

#[test]
fn skopeo_and_docker_get_their_password() {
    let server = images();
    let world = containers(&server);
    let host = server.host();
    let image = image(&world);
    let target = format!("docker://{host}/x:1");
    let copy = || {
        skopeo(
            &world,
            &["copy", "--dest-tls-verify=false", &image, &target],
            "",
        )
    };
    copy().fails_with(1);
    // A login that is not kept fails; one that is, serves from then on.
    let login = [
        "login",
        "--tls-verify=false",
        "-u",
        "alice",
        "--password-stdin",
        &host,
    ];
    let login = || skopeo(&world, &login, &secret("images"));
    assert_ne!(login().code, 0);
    world
        .vault(&["config", "set", "on-store", "add"])
        .run()
        .ok();
    login().ok();
    let name = format!("docker/{}/alice", host.replace(':', "-"));
    login().ok();
    assert_eq!(world.names(), [name.as_str()]);
    copy().ok();
    let tags = format!("docker://{host}/x");
    let list = || skopeo(&world, &["list-tags", "--tls-verify=false", &tags], "");
    let listed = list().ok().text();
    assert!(listed.contains("\"1\""), "{listed}");
    let docker = |args: &[&str]| world.program(tool("docker"), args).run();
    let inspect = ["manifest", "inspect", "--insecure", &format!("{host}/x:1")];
    let seen = docker(&inspect).ok().text();
    assert!(seen.contains("schemaVersion"), "{seen}");
    docker(&["logout", &host]).ok();
    assert_eq!(world.names(), [name.as_str()]);
    // Expired: the client says why.
    world
        .vault(&["tag", &name, "--expires", "2020-01-01"])
        .run()
        .ok();
    let _ = list().fails_with(1).says("expired");
    let config = || std::fs::read_to_string(world.home().join(".docker/config.json")).unwrap();
    assert!(
        config().contains("\"credHelpers\"") && !config().contains("\"auth\""),
        "{}",
        config()
    );
    world.vault(&["plugins", "remove", "docker"]).run().ok();
    assert!(!config().contains("vault"), "{}", config());
}

#[test]
fn docker_hears_what_is_wrong_where_it_listens() {
    let world = World::with_store();
    let ask = |action: &str, stdin: &str| {
        let output = world
            .program(VAULT, &["docker-credential", action])
            .stdin(stdin)
            .run();
        (output.code, output.text())
    };
    assert_eq!(
        ask("get", "r.example\n"),
        (1, "credentials not found in native keychain\n".into())
    );
    assert_eq!(ask("get", "\n"), (1, "no credentials server URL\n".into()));
    world.add_with(
        "r",
        secret("a\"b"),
        &["--url", "https://r.example/v1/", "--username", "me"],
    );
    let expected = format!(
        "{{\"ServerURL\":\"https://r.example/v1/\",\"Username\":\"me\",\"Secret\":\"{}\\\"b\"}}\n",
        secret("a")
    );
    assert_eq!(ask("get", "https://r.example/v1/"), (0, expected));
    assert_eq!(
        ask("get", "r.example.evil.example"),
        (1, "credentials not found in native keychain\n".into())
    );
    assert_eq!(
        ask("list", "unused"),
        (0, "{\"https://r.example/v1\":\"me\"}\n".into())
    );
    assert_eq!(ask("erase", "r.example"), (0, String::new()));
    assert_eq!(ask("store", "{}").0, 1);
    world.vault(&["tag", "r", "--unset", "username"]).run().ok();
    let (code, text) = ask("get", "https://r.example/v1/");
    assert!(
        code == 1 && text.contains("\"r\" names no user") && text.lines().count() == 1,
        "{text}"
    );
}

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

/// A package that needs a crate of the local registry; cargo is told of that, and to ask here.
struct Package {
    server: Server,
    world: World,
    config: String,
}

impl Package {
    fn new() -> Self {
        let (server, mut world) = (crates(), world());
        // The compiler is the one of this machine; nothing else of cargo's is.
        for variable in ["RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
            if let Some(value) = std::env::var_os(variable) {
                world.set(variable, value);
            }
        }
        if std::env::var_os("RUSTUP_HOME").is_none() {
            let home = std::env::var_os("HOME").unwrap();
            world.set("RUSTUP_HOME", Path::new(&home).join(".rustup"));
        }
        world.set("CARGO_HOME", world.home().join(".cargo"));
        let config = format!(
            "# mine\n[registries.loc]\nindex = \"sparse+http://{}/idx/\"\n",
            server.host()
        );
        world.write(".cargo/config.toml", &config);
        world.write("x/Cargo.toml", "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[dependencies]\nnothere = { version = \"1\", registry = \"loc\" }\n");
        world.write("x/src/lib.rs", "");
        let args = ["plugins", "install", "cargo"];
        let _ = world.vault(&args).run().ok().says("cargo asks vault now");
        Self {
            server,
            world,
            config,
        }
    }

    fn cargo(&self, args: &[&str], stdin: &str) -> Output {
        let run = self.world.program(env!("CARGO"), args);
        run.cwd(&self.world.home().join("x")).stdin(stdin).run()
    }

    fn resolve(&self) -> Output {
        self.cargo(&["generate-lockfile"], "")
    }

    fn login(&self, word: &str) -> Output {
        let args = ["login", "--registry", "loc"];
        self.cargo(&args, &(secret(word) + "\n"))
    }

    fn add(&self, name: &str, word: &str, url: &str) {
        self.world.add_with(name, secret(word), &["--url", url]);
    }

    /// What the registry was asked, and whether with the right token.
    fn asked(&self) -> String {
        std::fs::read_to_string(self.server.folder.path().join("asked")).unwrap()
    }
}

#[test]
fn cargo_gets_its_token() {
    let package = Package::new();
    let (world, host) = (&package.world, package.server.host());
    let missing = package.resolve().fails_with(101);
    let _ = missing.says("no token found for `loc`");
    // For another host, for this one over https, and for all of it: whoever has an index there says where its token goes.
    package.add("other", "other", "http://127.0.0.1:1/idx");
    package.add("https", "https", &format!("https://{host}/idx/"));
    package.add("host", "host", &format!("http://{host}"));
    package.resolve().fails_with(101);
    let url = format!("http://{host}/idx/");
    package.add("crates/loc", "outdated", &url);
    let expire = |when: &str| {
        let args = ["tag", "crates/loc", "--expires", when];
        world.vault(&args).run().ok();
    };
    expire("2020-01-01");
    let expired = package.resolve().fails_with(101);
    let _ = expired.says("\"crates/loc\" expired");
    world.add_with("crates/loc", secret("crates"), &["--expires", "2099-01-01"]);
    package.resolve().ok();
    let asked = package.asked();
    assert!(
        asked.contains("/idx/no/th/nothere right") && !asked.contains("wrong"),
        "{asked}"
    );
    world.vault(&["plugins", "remove", "cargo"]).run().ok();
    let left = std::fs::read_to_string(world.home().join(".cargo/config.toml")).unwrap();
    assert_eq!(left, package.config);
    let link = world.home().join(".local/bin/cargo-credential-vault");
    assert!(!link.exists());
}

#[test]
fn what_cargo_is_told_is_kept_where_wanted_and_never_over_an_entry() {
    let package = Package::new();
    let world = &package.world;
    let url = format!("http://{}/idx/", package.server.host());
    package.add("crates/loc", "crates", &url);
    let refused = package.login("new").fails_with(101);
    let _ = refused.says("\"crates/loc\" holds another secret");
    package.login("crates").ok();
    world.vault(&["rm", "-f", "crates/loc"]).run().ok();
    let unwanted = package.login("new").fails_with(101);
    let _ = unwanted.says("vault does not keep it");
    let args = ["config", "set", "on-store", "add"];
    world.vault(&args).run().ok();
    package.login("new").ok();
    let logout = package.cargo(&["logout", "--registry", "loc"], "");
    let _ = logout.fails_with(101).says("vault deletes nothing");
    let names = world.names();
    let is_kept = |name: &String| name.starts_with("cargo/127.0.0.1-");
    assert!(names.iter().any(is_kept), "{names:?}");
}

/// An image of no layer, as a folder that skopeo copies.
fn image(world: &World) -> String {
    let folder = world.home().join("image");
    let config = br#"{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    let digest = |bytes: &[u8]| {
        use sha2::Digest as _;
        let hash = sha2::Sha256::digest(bytes);
        hash.iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    };
    let name = digest(config);
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

/// docker and skopeo, told to ask here for one registry.
struct Clients {
    world: World,
    host: String,
}

impl Clients {
    fn new(server: &Server) -> Self {
        let mut world = world();
        let config = world.home().join(".docker");
        world.set("REGISTRY_AUTH_FILE", config.join("config.json"));
        world.set("DOCKER_CONFIG", config);
        let host = server.host();
        let args = ["plugins", "install", "docker", "--host", &host];
        let _ = world.vault(&args).run().ok().says("docker asks vault now");
        let policy = "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}";
        world.write("policy.json", policy);
        Self { world, host }
    }

    fn skopeo(&self, args: &[&str]) -> Output {
        let policy = self.world.home().join("policy.json").display().to_string();
        let args = [&["--policy", &policy], args].concat();
        self.world.program(tool("skopeo"), &args).run()
    }

    fn copy(&self) -> Output {
        let target = format!("docker://{}/x:1", self.host);
        let image = image(&self.world);
        self.skopeo(&["copy", "--dest-tls-verify=false", &image, &target])
    }

    fn tags(&self) -> Output {
        let from = format!("docker://{}/x", self.host);
        self.skopeo(&["list-tags", "--tls-verify=false", &from])
    }

    fn login(&self) -> Output {
        let args = ["login", "--tls-verify=false", "-u", "alice"];
        let args = [&args[..], &["--password-stdin", &self.host]].concat();
        let run = self.world.program(tool("skopeo"), &args);
        run.stdin(secret("images")).run()
    }

    fn docker(&self, args: &[&str]) -> Output {
        self.world.program(tool("docker"), args).run()
    }

    fn config(&self) -> String {
        std::fs::read_to_string(self.world.home().join(".docker/config.json")).unwrap()
    }
}

#[test]
fn skopeo_and_docker_get_their_password() {
    let server = images();
    let clients = Clients::new(&server);
    let (world, host) = (&clients.world, &clients.host);
    clients.copy().fails_with(1);
    // A login that is not kept fails; one that is, serves from then on.
    assert_ne!(clients.login().code, 0);
    let args = ["config", "set", "on-store", "add"];
    world.vault(&args).run().ok();
    clients.login().ok();
    let name = format!("docker/{}/alice", host.replace(':', "-"));
    assert_eq!(world.names(), [name.as_str()]);
    clients.login().ok();
    assert_eq!(world.names(), [name.as_str()]);
    clients.copy().ok();
    let listed = clients.tags().ok().text();
    assert!(listed.contains("\"1\""), "{listed}");
    let from = format!("{host}/x:1");
    let seen = clients.docker(&["manifest", "inspect", "--insecure", &from]);
    let seen = seen.ok().text();
    assert!(seen.contains("schemaVersion"), "{seen}");
    clients.docker(&["logout", host]).ok();
    assert_eq!(world.names(), [name.as_str()]);
    // Expired: the client says why.
    let args = ["tag", &name, "--expires", "2020-01-01"];
    world.vault(&args).run().ok();
    let _ = clients.tags().fails_with(1).says("expired");
    let config = clients.config();
    assert!(
        config.contains("\"credHelpers\"") && !config.contains("\"auth\""),
        "{config}"
    );
    world.vault(&["plugins", "remove", "docker"]).run().ok();
    let config = clients.config();
    assert!(!config.contains("vault"), "{config}");
}

#[test]
fn settings_behind_a_link_stay_there() {
    let world = world();
    for (link, target, before, args) in [
        (
            ".docker/config.json",
            "dots/docker.json",
            "{\n  \"auths\": {}\n}\n",
            &["docker", "--host", "r.example"][..],
        ),
        (
            ".cargo/config.toml",
            "dots/cargo.toml",
            "[net]\noffline = true\n",
            &["cargo"],
        ),
    ] {
        world.write(target, before);
        let (link, target) = (world.home().join(link), world.home().join(target));
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let install = [&["plugins", "install"], args].concat();
        let text = || std::fs::read_to_string(&target).unwrap();
        world.vault(&install).run().ok();
        let once = text();
        assert!(once.contains("vault"), "{once}");
        world.vault(&install).run().ok();
        assert_eq!(text(), once);
        world.vault(&["plugins", "remove", args[0]]).run().ok();
        assert_eq!(text(), before);
        assert!(link.is_symlink());
    }
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

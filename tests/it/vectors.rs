//! `store-format/vectors` against the library. `BLESS=1` makes them anew: encryption is random, so they are made once and
//! checked in. `BLESS=epochs` makes those of epochs only,
//! `BLESS=dotfiles` that of dotfiles.

mod make;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use agevault::format::Epoch;
use agevault::format::Name;
use agevault::format::Refusal;
use agevault::format::Stage;
use agevault::format::layout;
use agevault::format::seal;
use agevault::git::Commit;
use agevault::git::Id;
use agevault::session;
use agevault::session::Source;
use agevault::store;
use agevault::store::Store;
use agevault::store::state::State;
use agevault::sync;
use agevault::sync::trust;
use agevault::sync::trust::Following;
use agevault::sys::Env;
use agevault::sys::Places;
use agevault::sys::Streams;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

/// Where the vectors lie.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("store-format/vectors")
}

/// What `case.toml` says; README.md beside the vectors explains each field.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Case {
    shows: Vec<String>,
    #[allow(dead_code, reason = "for people")]
    about: String,
    identity: Option<String>,
    passphrase: Option<String>,
    stage: Option<String>,
    read: Option<String>,
    entry: Option<String>,
    pinned: Option<String>,
    seen: BTreeMap<String, u64>,
    grow: BTreeMap<String, u64>,
    words: Option<String>,
    shown: Option<String>,
    by_others: bool,
    without: Option<String>,
    head: Option<String>,
}

impl Case {
    /// Whether the member is `laptop`, with the usual identity.
    pub(crate) fn is_plain(&self) -> bool {
        self.identity.is_none()
    }
}

/// The folders of one kind, with their cases.
pub(crate) fn cases(kind: &str) -> Vec<(PathBuf, Case)> {
    let mut found: Vec<_> = fs::read_dir(root().join(kind))
        .expect("run the tests with BLESS=1 to make the vectors")
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    let case = |path: PathBuf| {
        let text = fs::read_to_string(path.join("case.toml")).unwrap();
        let case = toml::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        (path, case)
    };
    found.into_iter().map(case).collect()
}

/// A device of its own with a copy of a vector's store.
pub(crate) struct Device {
    folder: tempfile::TempDir,
    env: std::sync::Arc<Env>,
}

/// What was being read when it was refused, and the stage.
type Refused = (&'static str, Option<Stage>, String);

impl Device {
    pub(crate) fn new(vector: &Path, case: &Case) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let mut vars = vec![("PATH".into(), std::env::var_os("PATH").unwrap_or_default())];
        if let Some(passphrase) = &case.passphrase {
            let command = format!("printf %s '{passphrase}'");
            vars.push(("AGEVAULT_PASSPHRASE_CMD".into(), command.into()));
        }
        let place = |name: &str| base.join(name);
        let env = Env {
            vars,
            cwd: base.clone(),
            now: "2026-11-23T12:00:00Z".parse().unwrap(),
            terminal: Streams {
                stdin: false,
                stdout: false,
                stderr: false,
            },
            places: Places {
                config: place("config"),
                data: place("data"),
                state: place("state"),
                runtime: None,
                home: Some(base.clone()),
            },
        };
        let env = std::sync::Arc::new(env);
        let device = Self { folder, env };
        if vector.join("store").exists() {
            copy(&vector.join("store"), &device.store());
        }
        for (path, bytes) in &case.grow {
            let path = device.store().join(path);
            let file = fs::OpenOptions::new().append(true).open(path).unwrap();
            file.set_len(*bytes).unwrap();
        }
        let state = State::of_store(&device.env.places.state, &device.store());
        if let Some(pinned) = &case.pinned {
            state.pin(pinned.as_bytes()).unwrap();
        }
        let seen: Vec<_> = case.seen.clone().into_iter().collect();
        state.raise_revs(&seen).unwrap();
        device
    }

    fn store(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("store")
    }

    pub(crate) fn open(&self) -> Result<Store, Refused> {
        Store::open(&self.store(), &self.env.places.state, None)
            .map_err(|error| refused("format", error.into()))
    }

    pub(crate) fn unlock(
        &self,
        store: &Store,
        case: &Case,
    ) -> Result<agevault::format::keys::KeyFile, Refused> {
        let identity = case.identity.as_deref().unwrap_or("keys/laptop.txt");
        let source = Source::File(root().join(identity));
        session::open_keys(&self.env, store, &source).map_err(|error| refused("keys", error))
    }

    /// Moves the pin to the epoch of the head, whose words a person has confirmed.
    fn trust(&self, words: &str, without: Option<&str>) -> Result<(), Refused> {
        let of_sync = |error: sync::Error| match error {
            sync::Error::Store(error) => refused("epoch", error.into()),
            sync::Error::Without { refusal, .. } => {
                refused("epoch", store::Error::from(refusal).into())
            }
            other => panic!("{other}"),
        };
        let found = trust::find(&self.store(), &self.env.places.state, |_| Ok(None));
        let offer = found.map_err(of_sync)?.expect("another epoch");
        offer.check(Some(words)).map_err(of_sync)?;
        let source = Source::File(root().join("keys/laptop.txt"));
        let files = offer.key_files().map_err(of_sync)?;
        let keys = session::open_one_of(&self.env, &source, &offer.epoch, &files);
        let keys = keys.map_err(|error| refused("epoch", error))?;
        let following = Following {
            now: self.env.now,
            who: agevault::git::Ident::new("Octo Cat", "octo@example.org", 1_795_374_720, 0),
            progress: &|_, _| {},
            without,
        };
        let (old, new) = (offer.store.epoch.number, offer.epoch.clone());
        let followed = offer.follow(&keys, &following).map_err(of_sync)?;
        assert_eq!(followed.left, Vec::<String>::new());
        let store = self.open()?;
        assert_eq!(store.epoch, new);
        assert!(old < new.number);
        for name in store.names().unwrap() {
            store.entry(&keys, &name).unwrap();
        }
        Ok(())
    }

    /// Reads what the case names, in the order of section 9.
    fn read(&self, case: &Case) -> Result<(), Refused> {
        let store = self.open()?;
        let keys = self.unlock(&store, case)?;
        if case.read.as_deref() == Some("members") {
            let members = store.members(&keys);
            return members
                .map(|_| ())
                .map_err(|error| refused("members", error.into()));
        }
        let name = case.entry.as_deref().unwrap_or("github/ci");
        let name =
            Name::parse(name).map_err(|bad| refused("entry", store::Error::from(bad).into()))?;
        let entry = store.entry(&keys, &name);
        entry
            .map(|_| ())
            .map_err(|error| refused("entry", error.into()))
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn refused(what: &'static str, error: session::Error) -> Refused {
    let text = error.to_string();
    let stage = match error {
        session::Error::NoKeyFits { .. } => Some(Stage::Member),
        session::Error::Store(store::Error::Refused(refusal)) => Some(refusal.stage),
        session::Error::Store(store::Error::NoStore(_)) => Some(Stage::Version),
        session::Error::Store(store::Error::BadName(_)) => Some(Stage::Name),
        _ => None,
    };
    (what, stage, text)
}

/// A parsed TOML table as JSON; times become text.
pub(crate) fn to_json(table: &toml::Table) -> Value {
    let value = |value: &toml::Value| match value {
        toml::Value::Datetime(time) => json!(time.to_string()),
        toml::Value::Table(table) => to_json(table),
        toml::Value::Array(items) => items.iter().map(item_to_json).collect(),
        other => serde_json::to_value(other).unwrap(),
    };
    Value::Object(
        table
            .iter()
            .map(|(key, item)| (key.clone(), value(item)))
            .collect(),
    )
}

fn item_to_json(item: &toml::Value) -> Value {
    let mut table = toml::Table::new();
    table.insert("item".to_owned(), item.clone());
    to_json(&table)["item"].clone()
}

/// Everything that a reader learns of a store, as `expect.json` has it.
fn learned(device: &Device, case: &Case) -> Result<Value, Refused> {
    let store = device.open()?;
    let keys = device.unlock(&store, case)?;
    let past: Vec<Value> = keys
        .ended()
        .map(|past| json!({"epoch": past.number, "writer": past.writer.to_string(), "last": past.last}))
        .collect();
    let members = store
        .members(&keys)
        .map_err(|error| refused("members", error.into()))?;
    let list: Vec<Value> = members
        .list
        .iter()
        .map(|member| {
            let recipient = member.recipient.to_string();
            json!({"name": member.name, "recipient": recipient, "role": member.role.word()})
        })
        .collect();
    let mut entries = serde_json::Map::new();
    for name in store.names().unwrap() {
        let entry = store
            .entry(&keys, &name)
            .map_err(|error| refused("entry", error.into()))?;
        let header = to_json(&entry.header.to_text().parse().unwrap());
        let secret = BASE64.encode(entry.secret.expose());
        entries.insert(
            name.to_string(),
            json!({"header": header, "secret": secret}),
        );
    }
    Ok(json!({
        "store": store.epoch.store,
        "epoch": store.epoch.number,
        "fingerprint": store.epoch.fingerprint(),
        "member": keys.member,
        "writes": keys.writer_key.is_some(),
        "past": past,
        "members": {"rev": members.rev, "list": list},
        "entries": entries,
    }))
}

/// The vectors, made anew first if asked for; once for all tests of this process.
fn made() {
    static MADE: std::sync::Once = std::sync::Once::new();
    MADE.call_once(|| match std::env::var_os("BLESS") {
        Some(what) if what == "epochs" => make::epochs::all(),
        Some(what) if what == "others" => make::epochs::others(),
        Some(what) if what == "dotfiles" => make::accept::dotfiles(),
        Some(_) => make::all(),
        None => {}
    });
}

#[test]
fn what_is_to_be_accepted_reads_as_expected() {
    made();
    let cases = cases("accept");
    assert!(cases.len() >= 10);
    for (path, case) in cases {
        let device = Device::new(&path, &case);
        let learned =
            learned(&device, &case).unwrap_or_else(|why| panic!("{}: {why:?}", path.display()));
        let expected: Value =
            serde_json::from_slice(&fs::read(path.join("expect.json")).unwrap()).unwrap();
        assert_eq!(learned, expected, "{}", path.display());
    }
}

#[test]
fn what_is_to_be_refused_is_at_its_stage() {
    made();
    let mut complaints = Vec::new();
    for (path, case) in cases("reject") {
        let device = Device::new(&path, &case);
        let outcome = device.read(&case);
        let stage = |refused: &Refused| refused.1.map(Stage::word);
        let fits = outcome.as_ref().is_err_and(|refused| {
            Some(refused.0) == case.read.as_deref() && stage(refused) == case.stage.as_deref()
        });
        if !fits {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            complaints.push(format!(
                "{name}: to be refused at {:?} of {:?}: {outcome:?}",
                case.stage, case.read
            ));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[derive(Deserialize)]
struct Names {
    accept: Vec<String>,
    reject: Vec<BadName>,
    clash: Vec<[String; 2]>,
    no_clash: Vec<[String; 2]>,
}

#[derive(Deserialize)]
struct BadName {
    name: String,
    why: String,
}

#[test]
fn names_are_accepted_and_refused() {
    made();
    let names: Names =
        serde_json::from_slice(&fs::read(root().join("names.json")).unwrap()).unwrap();
    for name in &names.accept {
        assert!(Name::parse(name).is_ok(), "{name:?}");
    }
    for bad in &names.reject {
        assert!(
            Name::parse(&bad.name).is_err(),
            "{:?}: {}",
            bad.name,
            bad.why
        );
    }
    let clash = |[one, other]: &[String; 2]| {
        Name::parse(one)
            .unwrap()
            .clashes_with(&Name::parse(other).unwrap())
    };
    assert!(names.clash.iter().all(clash));
    assert!(!names.no_clash.iter().any(clash));
}

/// Whether a raw commit is this epoch's, as a reader of history asks.
fn check_commit(raw: &[u8], epoch: &Epoch) -> Result<(), Stage> {
    let commit = Commit::parse(Id::from_bytes([0; 20]), raw.to_vec()).map_err(|_| Stage::Seal)?;
    if commit.foreign.is_some() {
        return Err(Stage::Seal);
    }
    seal::verify(raw, epoch).map_err(|refusal: Refusal| refusal.stage)
}

/// A device whose work tree shows one commit, and whose branch has moved to another.
fn check_chain(path: &Path, case: &Case) -> Result<(), Option<Stage>> {
    let device = Device::new(path, case);
    let store = device.store();
    fs::create_dir(&store).unwrap();
    let (shown, head) = (
        case.shown.as_deref().unwrap(),
        case.head.as_deref().unwrap(),
    );
    let bundle = path.join("history.bundle");
    make::git(&store, &["init", "-q", "-b", "other"]);
    make::git(
        &store,
        &[
            "fetch",
            "-q",
            bundle.to_str().unwrap(),
            "refs/heads/*:refs/heads/*",
        ],
    );
    make::git(&store, &["read-tree", shown]);
    make::git(&store, &["checkout-index", "-a"]);
    make::git(&store, &["update-ref", "refs/heads/main", head]);
    make::git(&store, &["symbolic-ref", "HEAD", "refs/heads/main"]);
    let opened = device.open().map_err(|refused| refused.1)?;
    opened.state.set_shown(shown).unwrap();
    if !case.by_others {
        opened.state.note_made(Id::parse(shown).unwrap()).unwrap();
    }
    if let Some(words) = &case.words {
        drop(opened);
        let without = case.without.as_deref();
        device.trust(words, without).map_err(|refused| refused.1)?;
    } else {
        opened
            .settle()
            .map(|_| ())
            .map_err(|error| refused("history", error.into()).1)?;
    }
    // A reader that follows shows what the head has.
    let status = make::git(&store, &["status", "--porcelain"]);
    assert_eq!(status, "", "{}", path.display());
    Ok(())
}

#[test]
fn history_is_followed_or_refused() {
    made();
    for (path, case) in cases("history") {
        let outcome = if case.head.is_some() {
            check_chain(&path, &case)
        } else {
            let epoch = Epoch::parse(&fs::read(path.join("format")).unwrap()).unwrap();
            check_commit(&fs::read(path.join("commit")).unwrap(), &epoch).map_err(Some)
        };
        let stage = outcome
            .err()
            .map(|stage| stage.map_or("an error", Stage::word));
        assert_eq!(stage, case.stage.as_deref(), "{}", path.display());
    }
}

#[test]
fn every_rule_for_readers_has_a_vector() {
    made();
    let readme = fs::read_to_string(root().join("../README.md")).unwrap();
    let rules: BTreeSet<&str> = readme
        .match_indices("**F-")
        .filter_map(|(at, _)| readme.get(at + 2..at + 7))
        .collect();
    assert!(rules.len() > 25);
    let all = ["accept", "reject", "history"].map(cases);
    let shown: BTreeSet<&str> = all
        .iter()
        .flatten()
        .flat_map(|(_, case)| case.shows.iter().map(String::as_str))
        .collect();
    let missing: Vec<_> = rules.difference(&shown).collect();
    assert!(missing.is_empty(), "no vector shows {missing:?}");
    let unknown: Vec<_> = shown.difference(&rules).collect();
    assert!(unknown.is_empty(), "no rule is called {unknown:?}");
    for (path, _) in all.iter().flatten() {
        let format = path.join("store").join(layout::FORMAT);
        assert!(path.join("case.toml").exists(), "{}", format.display());
    }
}

//! `store-format/schema` against the vectors and against what the library knows.

use std::collections::BTreeSet;
use std::fs;

use agevault::crypto::Identities;
use agevault::crypto::Unattended;
use agevault::crypto::file;
use agevault::crypto::identity::StoreKey;
use agevault::format::Header;
use agevault::format::Name;
use agevault::secret::Secret;
use jsonschema::Validator;
use serde_json::Value;
use serde_json::json;

use crate::vectors::Device;
use crate::vectors::cases;
use crate::vectors::root;
use crate::vectors::to_json;

const MAX: usize = 1 << 20;

fn text_of(name: &str) -> Value {
    let path = root().join(format!("../schema/{name}.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn schema(name: &str) -> Validator {
    let text = text_of(name);
    jsonschema::meta::validate(&text).unwrap();
    jsonschema::validator_for(&text).unwrap()
}

/// The parts of a decrypted document: the table of its header, without the `sig` line, and its body.
fn parts(plain: &Secret) -> (toml::Table, Vec<u8>) {
    let bytes = plain.expose();
    let fence = bytes.windows(5).position(|at| at == b"\n---\n").unwrap();
    let header = std::str::from_utf8(&bytes[..=fence]).unwrap();
    let sig = header.rfind("sig = ").unwrap();
    (header[..sig].parse().unwrap(), bytes[fence + 5..].to_vec())
}

#[test]
fn every_accepted_document_fits_its_schema() {
    let [format, keys, members, header] = ["format", "keys", "members", "header"].map(schema);
    let fits = |schema: &Validator, table: &toml::Table, what: &str| {
        if let Err(error) = schema.validate(&to_json(table)) {
            panic!("{what}: {error} at {}", error.instance_path());
        }
    };
    for (path, case) in cases("accept") {
        let what = path.display().to_string();
        let device = Device::new(&path, &case);
        let store = device.open().unwrap();
        let clear = fs::read_to_string(path.join("store/.vault/format")).unwrap();
        fits(&format, &clear.parse().unwrap(), &what);
        let opened = device.unlock(&store, &case).unwrap();
        if case.is_plain() {
            let identity = Secret::new(fs::read(root().join("keys/laptop.txt")).unwrap());
            let identities =
                Identities::from_file(&identity, "", std::sync::Arc::new(Unattended)).unwrap();
            let bytes = fs::read(path.join("store/.vault/keys/laptop.age")).unwrap();
            let (table, _) = parts(&file::open_with(&bytes, &identities, MAX).unwrap());
            fits(&keys, &table, &what);
        }
        let open = |path: &std::path::Path, key: &StoreKey| {
            parts(&file::open_with_key(&fs::read(path).unwrap(), key, MAX).unwrap())
        };
        let (mut table, body) = open(&path.join("store/.vault/members.age"), &opened.store_key);
        table.extend(
            String::from_utf8(body)
                .unwrap()
                .parse::<toml::Table>()
                .unwrap(),
        );
        fits(&members, &table, &what);
        for name in store.names().unwrap() {
            let (table, _) = open(&path.join(format!("store/{name}.age")), &opened.store_key);
            fits(&header, &table, &format!("{what}: {name}"));
        }
    }
}

#[test]
fn the_header_schema_knows_what_the_library_knows() {
    let some = || Some("x".to_owned());
    let now = "2026-11-23T12:00:00Z".parse().unwrap();
    let list = || vec!["x".to_owned()];
    let full = Header {
        kind: some(),
        provider: some(),
        scopes: list(),
        expires: Some(now),
        env: some(),
        profiles: list(),
        username: some(),
        url: some(),
        tags: list(),
        description: some(),
        confirm: true,
        target: some(),
        mode: Some("0600".to_owned()),
        consumers: list(),
        link: true,
        template: true,
        hosts: list(),
        systems: list(),
        ..Header::new(&Name::parse("a").unwrap(), now)
    };
    let known: toml::Table = full
        .to_text()
        .replace("rev = 0", "rev = 1")
        .parse()
        .unwrap();
    let schema_text = text_of("header");
    let described: BTreeSet<&str> = schema_text["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        known.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        described
    );
    assert!(schema("header").is_valid(&to_json(&known)));
}

#[test]
fn what_is_wrong_does_not_fit() {
    let refuse = |name: &str, value: Value, change: &[(&str, Value)]| {
        let schema = schema(name);
        assert!(schema.is_valid(&value), "{name}");
        for (key, wrong) in change {
            let mut bad = value.clone();
            bad[*key] = wrong.clone();
            assert!(!schema.is_valid(&bad), "{name}: {key} = {wrong}");
        }
        for required in text_of(name)["required"].as_array().unwrap() {
            let mut bad = value.clone();
            bad.as_object_mut()
                .unwrap()
                .remove(required.as_str().unwrap());
            assert!(!schema.is_valid(&bad), "{name}: without {required}");
        }
    };
    let writer = "A".repeat(43);
    let store = "ab".repeat(16);
    let base = json!({"format": 1, "paths": "plain", "store": store, "epoch": 2, "writer": writer});
    let wrong = [
        ("format", json!(2)),
        ("paths", json!("hidden")),
        ("store", json!("AB".repeat(16))),
        ("epoch", json!(0)),
        ("writer", json!("A".repeat(44))),
    ];
    refuse("format", base.clone(), &wrong);
    let mut keys = base;
    keys["member"] = json!("laptop");
    keys["past"] = json!([{"epoch": 1, "writer": writer, "last": ""}]);
    let past = json!([{"epoch": 1, "writer": writer, "last": "HEAD"}]);
    refuse(
        "keys",
        keys,
        &[
            ("member", json!("Laptop")),
            ("member", json!("a.age")),
            ("past", past),
        ],
    );
    let member = json!({"name": "a", "recipient": "age1x", "role": "writer"});
    let mut owner = member.clone();
    owner["role"] = json!("owner");
    let members = json!({"format": 1, "rev": 1, "member": [member]});
    refuse(
        "members",
        members,
        &[("rev", json!(0)), ("member", json!([owner]))],
    );
    let header = json!({"format": 1, "name": "a", "rev": 1, "expires": "2027-02-20"});
    let wrong = [
        ("rev", json!("1")),
        ("name", json!("/a")),
        ("scopes", json!("repo")),
        ("expires", json!("2027-02-20T00:00:00")),
        ("env", json!("1A")),
        ("confirm", json!("yes")),
    ];
    refuse("header", header, &wrong);
}

/// Project files, and whether they are right; the program and the schema must agree.
const PROJECTS: [(&str, bool); 31] = [
    ("", true),
    ("mask = true", true),
    ("[env]\nA = \"github/ci\"", true),
    ("[env]\nA = \"agevault://github/ci#url\"", true),
    (
        "[env]\nA = { entry = \"a\", field = \"username\", required = false }",
        true,
    ),
    ("[env]\nA = { provider = \"github\" }", true),
    (
        "[env]\nA = { provider = \"github\", scopes = [\"repo\"], default = \"x\" }",
        true,
    ),
    (
        "[env]\nA = { entry = \"a\", provider = \"github\", scopes = [] }",
        true,
    ),
    ("[env]\nA = { default = \"\", description = \"d\" }", true),
    ("[files]\nA = \"a\"\nB = { entry = \"b\" }", true),
    (
        "[profiles.ci.env]\nA = \"a\"\n[profiles.ci.files]\nB = \"b\"",
        true,
    ),
    ("x = 1", false),
    ("mask = \"yes\"", false),
    ("env = \"a\"", false),
    ("[env]\nA = 1", false),
    ("[env]\nA = \"\"", false),
    ("[env]\n1A = \"a\"", false),
    ("[env]\n\"A-B\" = \"a\"", false),
    ("[env]\nA = \"work:a\"", false),
    ("[env]\nA = \"agevault://work:a\"", false),
    ("[env]\nA = {}", false),
    ("[env]\nA = { field = \"url\" }", false),
    ("[env]\nA = { field = \"url\", default = \"x\" }", false),
    ("[env]\nA = { entry = \"a\", field = \"pin\" }", false),
    ("[env]\nA = { entry = \"a\", scopes = [\"x\"] }", false),
    ("[env]\nA = { entry = \"a\", required = \"no\" }", false),
    ("[env]\nA = { entry = \"a\", env = \"b\" }", false),
    ("[env]\nA = { default = \"agevault://a\" }", false),
    ("[files]\nA = { entry = \"a\", default = \"x\" }", false),
    ("[profiles.ci]\nmask = true", false),
    ("[profiles.default.env]\nA = \"a\"", false),
];

#[test]
fn the_project_schema_agrees_with_the_program() {
    let schema = schema("project");
    for (text, ok) in PROJECTS {
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(schema.is_valid(&to_json(&table)), ok, "{text}");
        let parsed = agevault::exec::project::Project::parse(text.as_bytes());
        assert_eq!(parsed.is_ok(), ok, "{text}: {parsed:?}");
    }
    let whole = fs::read_to_string(root().join("../project.md")).unwrap();
    let example = whole.split("```toml\n").nth(1).unwrap();
    let example = example.split("```").next().unwrap();
    assert!(schema.is_valid(&to_json(&example.parse().unwrap())));
    agevault::exec::project::Project::parse(example.as_bytes()).unwrap();
}

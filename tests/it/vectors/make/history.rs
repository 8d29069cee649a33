//! Commits to be believed or not: one raw commit, or a bundle where the tree or the descent is the point.

use std::fs;
use std::path::Path;

use agevault::format::Epoch;
use agevault::format::seal;

use super::Kit;
use super::git;
use super::git_with;

const SEAL: &str = "seal";

pub(super) fn all() {
    commits();
    forgeries();
    chains();
}

/// What comes before the empty line of a commit.
fn head(tree: &str, parents: &[&str]) -> String {
    let parents: String = parents.iter().map(|id| format!("parent {id}\n")).collect();
    let who = "Octo Cat <octo@example.org> 1795374720 +0100";
    format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n")
}

fn usual() -> String {
    head(&"12".repeat(20), &[&"34".repeat(20)]) + "\nadd \"github/ci\"\n"
}

/// A vector of one raw commit.
fn commit(
    name: &str,
    ids: &[&str],
    about: &str,
    stage: Option<&str>,
    make: impl FnOnce(&Kit) -> Vec<u8>,
) {
    let mut kit = Kit::bare("history", name, ids, about);
    if let Some(stage) = stage {
        kit.say(&format!("stage = {stage:?}"));
    }
    fs::write(kit.path.join("format"), kit.epoch.to_text()).unwrap();
    fs::write(kit.path.join("commit"), make(&kit)).unwrap();
    kit.done();
}

fn sealed(kit: &Kit, text: &str) -> Vec<u8> {
    seal::seal(text.as_bytes(), &kit.epoch, &kit.writer)
}

fn commits() {
    let both = ["F-080", "F-081"];
    commit("sealed", &both, "a sealed commit", None, |kit| {
        sealed(kit, &usual())
    });
    commit(
        "sealed-merge",
        &both,
        "two parents, and a message of several paragraphs",
        None,
        |kit| {
            let parents = ["56".repeat(20), "78".repeat(20)];
            let text = head(&"12".repeat(20), &[&parents[0], &parents[1]])
                + "\nmerge\n\n- é\nnot a Vault-Seal: line\n";
            sealed(kit, &text)
        },
    );
    commit("sealed-first", &both, "no parent", None, |kit| {
        sealed(kit, &(head(&"12".repeat(20), &[]) + "\ncreate the store\n"))
    });
    let wrong = |name: &str, about: &str, make: &dyn Fn(&Kit) -> Vec<u8>| {
        commit(name, &["F-080"], about, Some(SEAL), make)
    };
    wrong("unsealed", "made by hand", &|_| usual().into_bytes());
    wrong(
        "extra-header",
        "a gpgsig header, covered by the seal",
        &|kit| {
            sealed(
                kit,
                &usual().replacen("\n\n", "\ngpgsig -----BEGIN\n x\n\n", 1),
            )
        },
    );
    wrong(
        "encoding-header",
        "an encoding header, covered by the seal",
        &|kit| {
            sealed(
                kit,
                &usual().replacen("\n\n", "\nencoding ISO-8859-1\n\n", 1),
            )
        },
    );
    wrong("committer-first", "the headers in another order", &|kit| {
        let text = usual()
            .replace("author ", "X ")
            .replace("committer ", "author ")
            .replace("X ", "committer ");
        sealed(kit, &text)
    });
    wrong("two-seals", "a second seal over the first", &|kit| {
        let once = String::from_utf8(sealed(kit, &usual())).unwrap();
        sealed(kit, &once)
    });
    wrong("seal-not-last", "a line after the seal", &|kit| {
        [&sealed(kit, &usual())[..], b"x\n"].concat()
    });
    wrong(
        "seal-without-line-feed",
        "the seal's line feed is missing",
        &|kit| {
            let mut raw = sealed(kit, &usual());
            raw.pop();
            raw
        },
    );
    wrong("no-empty-line", "no empty line before the seal", &|kit| {
        no_empty_line(kit)
    });
    wrong("not-utf-8", "a message in Latin-1", &|kit| {
        let mut text = usual().into_bytes();
        text.extend_from_slice(b"\xe9\n");
        seal::seal(&text, &kit.epoch, &kit.writer)
    });
    wrong("no-zone", "a time without a zone", &|kit| {
        sealed(kit, &usual().replace(" +0100", ""))
    });
}

/// A seal that verifies, directly after the message. `seal::seal` adds the empty line, so what it made is built by hand.
fn no_empty_line(kit: &Kit) -> Vec<u8> {
    // `seal` covers its input and one LF more: leave the input's own LF out and the empty line is gone.
    let text = usual();
    seal::seal(
        text.trim_end_matches('\n').as_bytes(),
        &kit.epoch,
        &kit.writer,
    )
}

fn forgeries() {
    let wrong = |name: &str, about: &str, make: &dyn Fn(&Kit) -> Vec<u8>| {
        commit(name, &["F-081"], about, Some(SEAL), make)
    };
    wrong("forged", "sealed with another key", &|kit| {
        let key = agevault::crypto::sign::WriterKey::generate().unwrap();
        seal::seal(usual().as_bytes(), &kit.epoch, &key)
    });
    wrong(
        "altered",
        "the tree was exchanged after the seal was made",
        &|kit| {
            let text = String::from_utf8(sealed(kit, &usual())).unwrap();
            text.replacen("tree 12", "tree 13", 1).into_bytes()
        },
    );
    wrong(
        "other-store",
        "replayed from another store with the same writer key",
        &|kit| {
            let epoch = Epoch {
                store: "ab".repeat(16),
                ..kit.epoch.clone()
            };
            seal::seal(usual().as_bytes(), &epoch, &kit.writer)
        },
    );
    wrong(
        "other-epoch",
        "sealed for another epoch with the same writer key",
        &|kit| {
            let epoch = Epoch {
                number: 2,
                ..kit.epoch.clone()
            };
            seal::seal(usual().as_bytes(), &epoch, &kit.writer)
        },
    );
    wrong(
        "old-epoch",
        "sealed with the writer key of an epoch that is over",
        &|kit| {
            let key = agevault::crypto::sign::WriterKey::generate().unwrap();
            let old = Epoch {
                writer: key.public(),
                ..kit.epoch.clone()
            };
            let format = Epoch {
                number: 2,
                ..kit.epoch.clone()
            };
            fs::write(kit.path.join("format"), format.to_text()).unwrap();
            seal::seal(usual().as_bytes(), &old, &key)
        },
    );
    wrong("short-signature", "the signature is cut", &|kit| {
        let raw = sealed(kit, &usual());
        [&raw[..raw.len() - 3], b"\n"].concat()
    });
}

/// A repository in which commits are put together.
pub(super) struct Chain {
    pub(super) kit: Kit,
    folder: tempfile::TempDir,
    /// Tables at the end of `case.toml`.
    pub(super) last: String,
}

impl Chain {
    pub(super) fn new(name: &str, ids: &[&str], about: &str) -> Self {
        let kit = Kit::new("history", name, ids, about);
        let folder = tempfile::tempdir().unwrap();
        git(folder.path(), &["init", "-q", "-b", "main"]);
        let last = String::new();
        let chain = Self { kit, folder, last };
        for path in [
            ".vault/format",
            ".vault/members.age",
            ".vault/keys/laptop.age",
            "github/ci.age",
        ] {
            chain.add("100644", path, &chain.kit.get(path));
        }
        chain
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a path into the next tree.
    pub(super) fn add(&self, mode: &str, path: &str, bytes: &[u8]) {
        let id = git_with(self.path(), &["hash-object", "-w", "--stdin"], bytes);
        self.add_id(mode, path, &id);
    }

    fn add_id(&self, mode: &str, path: &str, id: &str) {
        let info = format!("{mode},{id},{path}");
        git(
            self.path(),
            &["update-index", "--add", "--cacheinfo", &info],
        );
    }

    /// Takes a path out of the next tree.
    pub(super) fn remove(&self, path: &str) {
        git(self.path(), &["update-index", "--force-remove", path]);
    }

    /// Commits what was added; sealed, unless it is to be by hand.
    pub(super) fn commit(&self, parents: &[&str], message: &str, is_sealed: bool) -> String {
        let tree = git(self.path(), &["write-tree"]);
        let text = head(&tree, parents) + &format!("\n{message}\n");
        let raw = if is_sealed {
            sealed(&self.kit, &text)
        } else {
            text.into_bytes()
        };
        git_with(
            self.path(),
            &["hash-object", "-w", "-t", "commit", "--stdin"],
            &raw,
        )
    }

    pub(super) fn done(mut self, shown: &str, head: &str, stage: Option<&str>) {
        git(self.path(), &["update-ref", "refs/heads/shown", shown]);
        git(self.path(), &["update-ref", "refs/heads/main", head]);
        let bundle = self.kit.path.join("history.bundle");
        git(
            self.path(),
            &[
                "bundle",
                "create",
                "-q",
                bundle.to_str().unwrap(),
                "main",
                "shown",
            ],
        );
        if let Some(stage) = stage {
            self.kit.say(&format!("stage = {stage:?}"));
        }
        self.kit.say(&format!("shown = {shown:?}\nhead = {head:?}"));
        let last = std::mem::take(&mut self.last);
        if !last.is_empty() {
            self.kit.say(last.trim_end());
        }
        self.kit.done();
        fs::remove_dir_all(self.kit.store()).unwrap();
    }
}

fn chains() {
    let chain = Chain::new(
        "followed",
        &["F-082", "F-083"],
        "two sealed commits beyond the one shown",
    );
    let first = chain.commit(&[], "create the store", true);
    chain.add("100644", "a/b c/é.age", b"not looked into while following");
    let second = chain.commit(&[&first], "add \"a/b c/é\"", true);
    chain.add("100644", "github/ci.age", b"nor this");
    let third = chain.commit(&[&second], "replace \"github/ci\"", true);
    chain.done(&first, &third, None);

    let chain = Chain::new(
        "unsealed-between",
        &["F-081", "F-080"],
        "a commit by hand between two sealed ones",
    );
    let first = chain.commit(&[], "create the store", true);
    chain.add("100644", "a.age", b"by hand");
    let second = chain.commit(&[&first], "by hand", false);
    let third = chain.commit(&[&second], "nothing", true);
    chain.done(&first, &third, Some(SEAL));

    let chain = Chain::new(
        "rewound",
        &["F-083"],
        "the branch went back to an earlier sealed commit",
    );
    let first = chain.commit(&[], "create the store", true);
    chain.add("100644", "a.age", b"later");
    let second = chain.commit(&[&first], "add \"a\"", true);
    chain.done(&second, &first, Some("descent"));

    let chain = Chain::new(
        "rewritten",
        &["F-083"],
        "the branch moved to a sealed commit beside the one seen",
    );
    let first = chain.commit(&[], "create the store", true);
    let seen = chain.commit(&[&first], "one side", true);
    let other = chain.commit(&[&first], "other side", true);
    chain.done(&seen, &other, Some("descent"));

    let bad: [(&str, &str, &str, &str); 8] = [
        ("tree-executable", "an executable file", "100755", "a.age"),
        ("tree-link", "a symbolic link", "120000", "a.age"),
        (
            "tree-foreign-file",
            "a file that is no entry",
            "100644",
            "README.md",
        ),
        (
            "tree-attributes",
            "a file that git acts on",
            "100644",
            ".gitattributes",
        ),
        (
            "tree-own-folder",
            "a file of .vault that there is not",
            "100644",
            ".vault/hooks/x.age",
        ),
        (
            "tree-member-name",
            "a key file of no member's name",
            "100644",
            ".vault/keys/LAPTOP.age",
        ),
        (
            "tree-name",
            "an entry with a name that is refused",
            "100644",
            "a\u{202e}.age",
        ),
        (
            "tree-folder-age",
            "a folder that stands where an entry does",
            "100644",
            "a.age/b.age",
        ),
    ];
    for (name, about, mode, path) in bad {
        let chain = Chain::new(name, &["F-082"], about);
        let first = chain.commit(&[], "create the store", true);
        chain.add(mode, path, b"x");
        let second = chain.commit(&[&first], "add \"a\"", true);
        chain.done(&first, &second, Some("name"));
    }

    let chain = Chain::new(
        "tree-submodule",
        &["F-082"],
        "a commit of another repository",
    );
    let first = chain.commit(&[], "create the store", true);
    chain.add_id("160000", "a.age", &first);
    let second = chain.commit(&[&first], "add \"a\"", true);
    chain.done(&first, &second, Some("name"));

    let chain = Chain::new(
        "tree-clash",
        &["F-084"],
        "a folder that differs from another in case only",
    );
    let first = chain.commit(&[], "create the store", true);
    chain.add("100644", "GitHub/x.age", b"x");
    let second = chain.commit(&[&first], "add \"GitHub/x\"", true);
    chain.done(&first, &second, Some("name"));

    let chain = Chain::new("tree-large", &["F-085"], "a key file of more than 1 MiB");
    let first = chain.commit(&[], "create the store", true);
    let large = vec![0; (1 << 20) + 1];
    chain.add("100644", ".vault/keys/large.age", &large);
    let second = chain.commit(&[&first], "add a member", true);
    chain.done(&first, &second, Some("envelope"));

    let chain = Chain::new(
        "merged",
        &["F-081", "F-083"],
        "two sides, each sealed, and the commit that joins them",
    );
    let first = chain.commit(&[], "create the store", true);
    chain.add("100644", "a.age", b"here");
    let ours = chain.commit(&[&first], "add \"a\"", true);
    let theirs = chain.commit(&[&first], "nothing", true);
    chain.add("100644", "b.age", b"there");
    let merge = chain.commit(&[&ours, &theirs], "merge origin", true);
    chain.done(&ours, &merge, None);

    let chain = Chain::new(
        "merged-unsealed",
        &["F-081"],
        "the second parent of a sealed merge was made by hand",
    );
    let first = chain.commit(&[], "create the store", true);
    let theirs = chain.commit(&[&first], "by hand", false);
    let merge = chain.commit(&[&first, &theirs], "merge origin", true);
    chain.done(&first, &merge, Some(SEAL));
}

use super::*;

fn refuses(text: &str, word: &str) {
    match Project::parse(text.as_bytes()) {
        Err(wrong) => assert!(wrong.to_string().contains(word), "{text}: {wrong}"),
        Ok(project) => panic!("{text}: {project:?}"),
    }
}

#[test]
fn a_file_says_what_a_project_needs() {
    let text = r#"
mask = true
[env]
GITHUB_TOKEN = "github/ci"
GH_USER = { entry = "github/ci", field = "username" }
SITE = "agevault://github/ci#url"
READ = { provider = "github", scopes = ["read:org"] }
CHECKED = { entry = "github/ci", provider = "github", scopes = ["repo"] }
LOG = { default = "info", description = "how much is said" }
DSN = { entry = "sentry/dsn", required = false }
[files]
KUBECONFIG = "k8s/config"
[profiles.release.env]
NPM_TOKEN = "npm/publish"
KUBECONFIG = { default = "none" }
"#;
    let project = Project::parse(text.as_bytes()).unwrap();
    assert!(project.mask);
    let find = |name: &str| {
        let found = project.base.env.iter().find(|one| one.name == name);
        found.unwrap().clone()
    };
    let entry = |name: &str, need| Source::Entry(Name::parse(name).unwrap(), need);
    let need = |scope: &str| Need {
        provider: "github".into(),
        scopes: vec![scope.into()],
    };
    assert_eq!(find("GITHUB_TOKEN").source, entry("github/ci", None));
    assert_eq!(find("GH_USER").field, Field::Username);
    assert_eq!(find("SITE").field, Field::Url);
    assert_eq!(find("READ").source, Source::Need(need("read:org")));
    assert_eq!(
        find("CHECKED").source,
        entry("github/ci", Some(need("repo")))
    );
    assert_eq!(find("LOG").default.as_deref(), Some("info"));
    assert!(!find("DSN").is_required && find("LOG").is_required);
    assert_eq!(project.base.files.len(), 1);
    let release = project.part(&["release".to_owned()]);
    assert!(release.files.is_empty() && release.env.len() == project.base.env.len() + 2);
    assert_eq!(project.part(&[]), project.base);
    assert_eq!(Project::parse(b"").unwrap(), Project::default());
}

#[test]
fn what_is_not_understood_is_refused() {
    refuses("x = 1", "no key \"x\"");
    refuses(
        "[env]\nA = { entri = \"a\" }",
        "env.A: there is no key \"entri\"",
    );
    refuses("[profiles.p]\nmask = true", "no key \"mask\"");
    refuses("[profiles]\np = 1", "profiles.p: it must be a table");
    refuses("[profiles.default.env]", "the store's own");
    refuses("env = 1", "env: it must be a table");
    refuses("mask = 1", "mask: it must be true or false");
    refuses("[env]\nA = 1", "the name of an entry");
    refuses("[env]\nA = { entry = 1 }", "env.A.entry: it must be a text");
    refuses("[env]\nA = {}", "neither an entry");
    refuses("[env]\nA = { field = \"url\" }", "neither an entry");
    refuses("[env]\nA = { scopes = [\"repo\"] }", "no provider");
    refuses("[env]\nA = { provider = \"\" }", "provider is empty");
    refuses(
        "[env]\nA = { provider = \"g\", scopes = \"repo\" }",
        "list of scopes",
    );
    refuses(
        "[env]\nA = { provider = \"g\", scopes = [\"\"] }",
        "list of scopes",
    );
    refuses(
        "[env]\nA = { entry = \"a\", required = 1 }",
        "true or false",
    );
    refuses(
        "[env]\nA = { entry = \"a\", field = \"pin\" }",
        "no field \"pin\"",
    );
    refuses(
        "[env]\nA = { entry = \"agevault://a#url\", field = \"url\" }",
        "a field twice",
    );
    refuses("[env]\nA = \"../a\"", "env.A: ");
    refuses("[env\n", "its line 1 is not TOML");
    refuses("[env]\nA = \"a\"\nA = \"b\"", "its line 3");
    refuses(
        "[env]\nA = \"a\"\n[files]\nA = \"b\"",
        "both in env and in files",
    );
    refuses(
        "[files]\nA = { entry = \"a\", default = \"x\" }",
        "no default",
    );
    let wrong = Project::parse(b"\xff").unwrap_err();
    assert!(wrong.to_string().contains("UTF-8"));
}

#[test]
fn what_is_hostile_is_refused() {
    refuses("[env]\nLD_PRELOAD = \"a\"", "take over a program");
    refuses(
        "[env]\nPATH = { default = \"/tmp\" }",
        "take over a program",
    );
    refuses("[files]\nBASH_ENV = \"a\"", "take over a program");
    refuses(
        "[profiles.p.env]\nNODE_OPTIONS = \"a\"",
        "take over a program",
    );
    refuses("[env]\n\"A=B\" = \"a\"", "not a variable's name");
    refuses("[env]\nA = \"work:a\"", "another store");
    refuses("[env]\nA = \"agevault://work:a\"", "another store");
    refuses("[env]\nA = { default = \"agevault://a\" }", "no reference");
    refuses("[env]\nA = { default = \"op://a/b\" }", "no reference");
}

#[test]
fn a_mistyped_word_can_be_guessed() {
    let guess = |text: &str| {
        let wrong = Project::parse(text.as_bytes()).unwrap_err();
        words_for(&wrong.why).map(|(word, known)| (word.to_owned(), known.len()))
    };
    assert_eq!(guess("enf = 1"), Some(("enf".into(), TOP.len())));
    assert_eq!(
        guess("[env]\nA = { entry = \"a\", field = \"user\" }"),
        Some(("user".into(), FIELD_WORDS.len()))
    );
    assert_eq!(guess("env = 1"), None);
}

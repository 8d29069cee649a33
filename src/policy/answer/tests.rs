use super::*;

const NOW: &str = "2027-01-01T00:00:00Z";

/// An entry of a name, `url`, user and expiry; `-` for none.
fn header(line: &str) -> Header {
    let words: Vec<&str> = line.split_whitespace().collect();
    let word = |at: usize| {
        words
            .get(at)
            .filter(|word| **word != "-")
            .map(|word| (*word).to_owned())
    };
    Header {
        name: word(0).unwrap(),
        rev: 1,
        url: word(1),
        username: word(2),
        expires: word(3).map(|text| text.parse().unwrap()),
        provider: word(4),
        kind: word(5),
        ..Header::default()
    }
}

fn request(url: &str) -> Request {
    let (place, username) = Place::parse(url).unwrap();
    let knows_path = !place.path.is_empty();
    Request {
        place,
        knows_path,
        is_index: false,
        username,
    }
}

/// What answers an address among entries: their names, or a word for none.
fn check(url: &str, entries: &[&str], expected: &str) {
    let headers: Vec<Header> = entries.iter().map(|line| header(line)).collect();
    let now = NOW.parse().unwrap();
    let with = Circumstances { now, refused: &[] };
    let (choice, judged) = request(url).choose(&headers, with);
    for (header, judged) in headers.iter().zip(judged) {
        let is_near = matches!(judged, Ok(_) | Err(Misfit::Expired(_) | Misfit::Refused(_)));
        assert_eq!(
            request(url).is_near(header, with),
            is_near,
            "{url} {}",
            header.name
        );
    }
    let names = |all: Vec<usize>| {
        let names: Vec<&str> = all.iter().map(|at| headers[*at].name.as_str()).collect();
        names.join("+")
    };
    let found = match choice {
        Choice::Entry(at) => headers[at].name.clone(),
        Choice::Nothing => "nothing".to_owned(),
        Choice::Unfit(all) => format!("unfit {}", names(all)),
        Choice::Ambiguous(all) => format!("ambiguous {}", names(all)),
    };
    assert_eq!(found, expected, "{url} {entries:?}");
}

#[test]
fn the_host_is_compared_whole() {
    let all = [
        "gh https://github.com",
        "ent https://git.corp:8443",
        "p - - - github",
        "n - - - -",
    ];
    check("https://github.com", &all, "gh");
    check("https://GITHUB.com.", &all, "gh");
    check("https://github.com:443", &all, "gh");
    check("https://gist.github.com", &all, "p");
    check("https://git.corp:8443", &all, "ent");
    for other in [
        "https://git.corp",
        "https://github.com.evil.example",
        "https://evilgithub.com",
        "https://hub.com",
        "https://github.com:8443",
        "https://githuḃ.com",
        "http://github.com",
        "ssh://github.com",
    ] {
        check(other, &all, "nothing");
    }
    check("http://h", &["a http://h", "b https://h"], "a");
    check("https://h", &["a http://h", "b https://h"], "b");
}

#[test]
fn the_longest_path_wins_where_paths_are_known() {
    let all = [
        "all https://h",
        "org https://h/org",
        "repo https://h/org/repo",
    ];
    check("https://h/org/repo.git", &all, "repo");
    check("https://h/org/repository", &all, "org");
    check("https://h/organisation", &all, "all");
    check("https://h/other", &all[1..], "nothing");
    check("https://h", &all, "all");
    // Which part of the host is meant, nobody says.
    check("https://h", &all[1..], "ambiguous org+repo");
    check("https://h", &all[2..], "repo");
}

#[test]
fn the_user_narrows() {
    let all = ["a https://h alice", "b https://h bob"];
    check("https://alice@h", &all, "a");
    check("https://bob@h", &all, "b");
    check("https://eve@h", &all, "nothing");
    check("https://h", &all, "ambiguous a+b");
    check("https://h", &["a https://alice@h", "b https://h/x"], "a");
    check(
        "https://alice@h",
        &["a https://alice@h", "n https://h"],
        "a",
    );
    check("https://bob@h", &["a https://alice@h", "n https://h"], "n");
}

#[test]
fn the_expired_one_is_passed_over() {
    let old = "old https://h - 2026-12-31T00:00:00Z";
    check(
        "https://h",
        &[old, "new https://h - 2027-06-01T00:00:00Z"],
        "new",
    );
    check("https://h", &[old], "unfit old");
    check(
        "https://h",
        &[old, "x.conflict-2026-01-01 https://h"],
        "unfit old",
    );
}

#[test]
fn what_is_no_password_is_never_given() {
    check(
        "https://h",
        &["n https://h - - - note", "f https://h - - - file"],
        "nothing",
    );
    check(
        "https://github.com",
        &["p - - - github password"],
        "nothing",
    );
    check(
        "https://github.com",
        &["own https://github.com", "p - - - github"],
        "own",
    );
    check("https://h", &["w https://u:p@h"], "nothing");
}

#[test]
fn what_was_refused_is_passed_over_for_a_while() {
    let now: Timestamp = NOW.parse().unwrap();
    let headers = [header("a https://h"), header("b https://h/x")];
    let refused_ago = |minutes: i64, rev: u64, host: &str| {
        let at = now - SignedDuration::from_mins(minutes);
        [Refused {
            name: "a".into(),
            rev,
            host: host.into(),
            at,
        }]
    };
    for (minutes, rev, host, expected) in [
        (9, 1, "h", Choice::Entry(1)),
        (11, 1, "h", Choice::Entry(0)),
        (9, 2, "h", Choice::Entry(0)),
        (9, 1, "other", Choice::Entry(0)),
        (-9, 1, "h", Choice::Entry(0)),
    ] {
        let refused = refused_ago(minutes, rev, host);
        let with = Circumstances {
            now,
            refused: &refused,
        };
        assert_eq!(
            request("https://h").choose(&headers, with).0,
            expected,
            "{minutes} {rev} {host}"
        );
    }
}

#[test]
fn the_user_is_the_entrys_or_the_providers() {
    for (line, url, expected) in [
        ("a https://h alice", "https://h", Some("alice")),
        ("a https://alice@h", "https://h", Some("alice")),
        ("a https://h", "https://bob@h", Some("bob")),
        ("a https://h", "https://h", None),
        (
            "a - - - github",
            "https://github.com",
            Some("x-access-token"),
        ),
    ] {
        let found = request(url).username(&header(line));
        assert_eq!(found.as_deref(), expected, "{line}");
    }
}

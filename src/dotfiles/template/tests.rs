use super::*;

/// What a template becomes, each reference being `<NAME#FIELD>` in upper case, or the default.
fn rendered(text: &str) -> Result<String, String> {
    let pieces = parse(text.as_bytes()).map_err(|fault| fault.to_string())?;
    let values: Vec<Secret> = holes(&pieces).map(value).collect();
    let out = fill(text.as_bytes(), &pieces, &values);
    Ok(String::from_utf8(out.expose().to_vec()).unwrap())
}

fn value(hole: &Hole) -> Secret {
    let text = match &hole.default {
        Some(default) => default.clone(),
        None => format!("<{}>", hole.reference.to_string().to_uppercase()),
    };
    Secret::new(text.into_bytes())
}

#[test]
fn references_are_found_bare_and_in_braces() {
    for (text, expected) in [
        ("no reference {{ }} {{x}}", "no reference {{ }} {{x}}"),
        ("a=agevault://github/ci", "a=<GITHUB/CI>"),
        (
            "\"agevault://github/ci#username\",",
            "\"<GITHUB/CI#USERNAME>\",",
        ),
        (
            "see agevault://a/b. And agevault://c:\n",
            "see <A/B>. And <C>:\n",
        ),
        ("{{agevault://a b/c#url}}", "<A B/C#URL>"),
        ("{{ agevault://a }}x", "<A>x"),
        ("{{agevault://a:-none at all }}", "none at all"),
        ("{{agevault://a:-}}", ""),
        (
            "{{agevault://}}a {{ agevault://  }}",
            "agevault://a agevault://",
        ),
        ("agevault://a agevault://a", "<A> <A>"),
        ("{agevault://a}", "{<A>}"),
    ] {
        assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_reference_is_told_with_its_line() {
    for (text, line) in [
        ("\nagevault://", "line 2"),
        ("{{agevault://a", "line 1"),
        ("{{agevault://a\n}}", "line 1"),
        ("x\n\n{{agevault://../x}}", "line 3"),
        ("agevault://a#pin", "line 1"),
    ] {
        let why = rendered(text).unwrap_err();
        assert!(why.starts_with(line), "{text:?}: {why}");
    }
    assert!(parse(b"{{agevault://\xff}}").is_err());
}

/// Takes back what a closure makes of the rendered text.
fn taken(template: &str, change: impl Fn(&str) -> String) -> (String, usize) {
    let pieces = parse(template.as_bytes()).unwrap();
    let values: Vec<Secret> = holes(&pieces).map(value).collect();
    let out = fill(template.as_bytes(), &pieces, &values);
    let changed = change(std::str::from_utf8(out.expose()).unwrap());
    let back = take_back(template.as_bytes(), &pieces, &values, changed.as_bytes());
    let text = String::from_utf8(back.text.expose().to_vec()).unwrap();
    (text, back.lost.len())
}

type Change = fn(&str) -> String;

#[test]
fn a_changed_file_comes_back_with_its_references() {
    let template = "# head\ntoken = agevault://github/ci # why\nuser = {{agevault://github/ci#username}}\n\nend\n";
    let cases: [(Change, &str, usize); 7] = [
        (str::to_owned, template, 0),
        (
            |text| text.replace("# head", "# new head"),
            "# new head\ntoken = agevault://github/ci # why\nuser = {{agevault://github/ci#username}}\n\nend\n",
            0,
        ),
        (
            |text| text.replace("# why", "# because"),
            "# head\ntoken = agevault://github/ci # because\nuser = {{agevault://github/ci#username}}\n\nend\n",
            0,
        ),
        (
            |text| text.replace("<GITHUB/CI>", "typed"),
            "# head\ntoken = typed # why\nuser = {{agevault://github/ci#username}}\n\nend\n",
            1,
        ),
        (
            |text| format!("{text}more"),
            "# head\ntoken = agevault://github/ci # why\nuser = {{agevault://github/ci#username}}\n\nend\nmore",
            0,
        ),
        (|_| String::new(), "", 2),
        (
            |text| {
                text.replace("token", "key")
                    .replace("user", "name")
                    .replace("end", "")
            },
            "# head\nkey = agevault://github/ci # why\nname = {{agevault://github/ci#username}}\n\n\n",
            0,
        ),
    ];
    for (change, expected, lost) in cases {
        assert_eq!(taken(template, change), (expected.to_owned(), lost));
    }
}

#[test]
fn what_comes_back_renders_to_what_was_taken() {
    let template = "a agevault://x b\n{{agevault://y:-}}\n{{agevault://}}z\nagevault://x";
    let pieces = parse(template.as_bytes()).unwrap();
    let values: Vec<Secret> = ["one\ntwo", "", "one\ntwo"]
        .map(|text| Secret::copy_of(text.as_bytes()))
        .into();
    let out = fill(template.as_bytes(), &pieces, &values);
    let out = std::str::from_utf8(out.expose()).unwrap().to_owned();
    assert_eq!(out, "a one\ntwo b\n\nagevault://z\none\ntwo");
    for change in [
        "a one\ntwo b\n\nagevault://z\none\ntwo",
        "x\na one\ntwo c\n\nz\none\ntwo\n",
    ] {
        let back = take_back(template.as_bytes(), &pieces, &values, change.as_bytes());
        let pieces = parse(back.text.expose()).unwrap();
        let values: Vec<Secret> = holes(&pieces)
            .map(|hole| match hole.default {
                Some(_) => Secret::copy_of(b""),
                None => Secret::copy_of(b"one\ntwo"),
            })
            .collect();
        let again = fill(back.text.expose(), &pieces, &values);
        assert_eq!(std::str::from_utf8(again.expose()).unwrap(), change);
    }
}

use std::path::PathBuf;

use super::*;
use crate::sys::Places;
use crate::sys::Streams;

fn env(vars: &[(&str, &str)]) -> Env {
    let nowhere = PathBuf::from("/nowhere");
    Env {
        vars: vars
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        cwd: nowhere.clone(),
        now: jiff::Timestamp::UNIX_EPOCH,
        terminal: Streams::default(),
        places: Places {
            config: nowhere.clone(),
            data: nowhere.clone(),
            state: nowhere,
            runtime: None,
            home: None,
        },
    }
}

#[test]
#[cfg(not(target_os = "macos"))]
fn the_clipboard_in_front_of_the_person_is_chosen() {
    let check =
        |vars: &[(&str, &str)], expected| assert_eq!(Clipboard::choose(&env(vars)), expected);
    let xterm = ("TERM", "xterm-256color");
    check(&[xterm, ("DISPLAY", ":0")], Some(Clipboard::Desktop));
    check(
        &[("WAYLAND_DISPLAY", "wayland-0")],
        Some(Clipboard::Desktop),
    );
    check(
        &[
            xterm,
            ("DISPLAY", "localhost:10"),
            ("SSH_TTY", "/dev/pts/1"),
        ],
        Some(Clipboard::Terminal),
    );
    check(&[xterm, ("TMUX", "/tmp/tmux,1,0")], Some(Clipboard::Tmux));
    check(&[xterm], Some(Clipboard::Terminal));
    check(&[("TERM", "dumb"), ("SSH_CONNECTION", "x")], None);
    check(&[("TERM", "linux")], None);
    check(&[], None);
}

#[test]
fn sequences_are_what_terminals_expect() {
    let check = |bytes: &[u8], clipboard, expected: &[u8]| {
        assert_eq!(sequence(bytes, clipboard).as_slice(), expected);
    };
    check(b"token", Clipboard::Terminal, b"\x1b]52;c;dG9rZW4=\x07");
    check(b"", Clipboard::Terminal, b"\x1b]52;c;\x07");
    check(
        b"token",
        Clipboard::Tmux,
        b"\x1bPtmux;\x1b\x1b]52;c;dG9rZW4=\x07\x1b\\",
    );
}

#[test]
fn what_cannot_be_pasted_is_refused_before_anything_is_written() {
    let terminal = env(&[("TERM", "xterm")]);
    let refused = |bytes: &[u8]| copy(&Secret::copy_of(bytes), &terminal, 45).unwrap_err();
    assert!(matches!(refused(b"\xff"), Error::NotText));
    let most = OSC52_MAX_BYTES / 4 * 3;
    assert!(matches!(refused(&vec![b'x'; most + 1]), Error::TooLarge(limit) if limit == most));
    assert!(matches!(
        copy(&Secret::copy_of(b"x"), &env(&[]), 45),
        Err(Error::NoClipboard)
    ));
}

#[test]
fn words_lead_back_to_clipboards() {
    for one in [Clipboard::Desktop, Clipboard::Terminal, Clipboard::Tmux] {
        assert_eq!(Clipboard::from_word(one.word()), Some(one));
    }
    assert_eq!(Clipboard::from_word("x"), None);
}

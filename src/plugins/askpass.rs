//! What a program means that asks for a password by a prompt: git, ssh and sudo, in their own words.
//!
//! A prompt is text for people, and may hold what somebody else has chosen. So it is read whole, or not at all: a prompt with a
//! control character, or one that only begins like a known one, means nothing.

use crate::policy::answer::Request;
use crate::policy::place::Place;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The user's name at a place.
    Username(Request),
    /// A password, or the passphrase of a key.
    Password(Request),
    /// A yes or a no, which only a person can say.
    Consent,
    /// A passphrase or password of something that the prompt does not name.
    Unnamed,
}

impl Wanted {
    /// What a prompt means; `None` where that is not known.
    pub fn of_prompt(prompt: &str) -> Option<Self> {
        let prompt = prompt.trim_end_matches(' ');
        if prompt.chars().any(char::is_control) {
            return None;
        }
        if prompt.contains("(yes/no") || prompt.starts_with("Allow use of key ") {
            return Some(Self::Consent);
        }
        if let Some(url) = between(prompt, "Username for '", "':") {
            return Some(Self::Username(of_url(url)?));
        }
        if let Some(url) = between(prompt, "Password for '", "':") {
            return Some(Self::Password(of_url(url)?));
        }
        let key = between(prompt, "Enter passphrase for key '", "':")
            .or_else(|| between(prompt, "Enter passphrase for ", ":"));
        if let Some(path) = key {
            return Some(Self::Password(of_parts("file", "", Some(path), None)?));
        }
        if let Some(user) = between(prompt, "[sudo] password for ", ":") {
            return Some(Self::Password(of_parts(
                "sudo",
                "localhost",
                None,
                Some(user),
            )?));
        }
        // ssh says whose server asks; what follows are the server's own words, and may look like any other prompt.
        if let Some(rest) = prompt.strip_prefix('(') {
            let (place, words) = rest.split_once(") ")?;
            return of_ssh(place).filter(|_| wants_secret(words));
        }
        if let Some(place) = between(prompt, "", "'s password:") {
            return of_ssh(place);
        }
        wants_secret(prompt).then_some(Self::Unnamed)
    }
}

/// The password of `user@host`, where it is that and nothing else.
fn of_ssh(place: &str) -> Option<Wanted> {
    let is_odd = |c: char| c.is_whitespace() || "()'\"".contains(c);
    let (user, host) = place.rsplit_once('@')?;
    if place.contains(is_odd) {
        return None;
    }
    let request = of_parts("ssh", host, None, Some(user))?;
    Some(Wanted::Password(request))
}

/// Whether a prompt is for a password or a passphrase.
fn wants_secret(prompt: &str) -> bool {
    let prompt = prompt.trim_end_matches(':').to_ascii_lowercase();
    ["passphrase", "password"]
        .iter()
        .any(|word| prompt.ends_with(word))
}

fn between<'t>(text: &'t str, lead: &str, end: &str) -> Option<&'t str> {
    text.strip_prefix(lead)?.strip_suffix(end)
}

fn of_url(url: &str) -> Option<Request> {
    if !url.contains("://") {
        return None;
    }
    let (place, username) = Place::parse(url).ok()?;
    let knows_path = !place.path.is_empty();
    Some(Request {
        place,
        knows_path,
        is_index: false,
        username,
    })
}

fn of_parts(protocol: &str, host: &str, path: Option<&str>, user: Option<&str>) -> Option<Request> {
    Some(Request {
        place: Place::of_parts(protocol, host, path).ok()?,
        knows_path: path.is_some(),
        is_index: false,
        username: user.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(prompt: &str) -> String {
        let at = |request: &Request| {
            let user = request.username.as_ref().map(|user| format!(" as {user}"));
            format!("{}{}", request.place, user.unwrap_or_default())
        };
        match Wanted::of_prompt(prompt) {
            None => "nothing".to_owned(),
            Some(Wanted::Username(request)) => format!("user of {}", at(&request)),
            Some(Wanted::Password(request)) => format!("password of {}", at(&request)),
            Some(Wanted::Consent) => "consent".to_owned(),
            Some(Wanted::Unnamed) => "unnamed".to_owned(),
        }
    }

    #[test]
    fn prompts_of_real_programs_are_understood() {
        for (prompt, expected) in [
            (
                "Username for 'https://localhost:8443': ",
                "user of https://localhost:8443",
            ),
            (
                "Password for 'https://alice@localhost:8443': ",
                "password of https://localhost:8443 as alice",
            ),
            (
                "Password for 'https://a%40b@h/me/repo.git': ",
                "password of https://h/me/repo.git as a@b",
            ),
            (
                "Enter passphrase for key '/home/me/.ssh/id_ed25519': ",
                "password of file:///home/me/.ssh/id_ed25519",
            ),
            (
                "Enter passphrase for /home/me/.ssh/id_rsa: ",
                "password of file:///home/me/.ssh/id_rsa",
            ),
            (
                "octo@example.org's password: ",
                "password of ssh://example.org as octo",
            ),
            (
                "(octo@example.org) Password: ",
                "password of ssh://example.org as octo",
            ),
            (
                "(octo@example.org) LDAP password: ",
                "password of ssh://example.org as octo",
            ),
            (
                "[sudo] password for octo: ",
                "password of sudo://localhost as octo",
            ),
            (
                "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
                "consent",
            ),
            ("Enter passphrase: ", "unnamed"),
            ("Password: ", "unnamed"),
        ] {
            assert_eq!(shown(prompt), expected, "{prompt}");
        }
    }

    #[test]
    fn a_server_asks_for_itself_alone() {
        for words in [
            "x@victim.example) Password: ",
            "octo@victim.example's password: ",
            "Enter passphrase for key '/home/me/.ssh/id'; then your password: ",
            "Password for 'https://github.com', or your password: ",
        ] {
            let prompt = format!("(octo@evil.example) {words}");
            let expected = "password of ssh://evil.example as octo";
            assert_eq!(shown(&prompt), expected, "{prompt}");
        }
    }

    #[test]
    fn a_prompt_that_could_mislead_means_nothing() {
        for prompt in [
            "",
            "Password for 'https://github.com': \nPassword for 'https://evil.example': ",
            "Password for 'https://evil.example\u{1b}[2Khttps://github.com': ",
            "Password for 'https://evil.example%0d@github.com': ",
            "Password for 'https://u:p@github.com': ",
            "Password for 'github.com': ",
            "Password for 'https://github.com' or so",
            "Your GitHub token? ",
            // A server's words after ssh's own.
            "(octo@evil.example)octo@victim.example's password: ",
            "(octo@evil.example) Your code: ",
            "(octo@evil.example octo@victim.example) Password: ",
            "please: octo@victim.example's password: ",
        ] {
            assert_eq!(shown(prompt), "nothing", "{prompt:?}");
        }
    }
}

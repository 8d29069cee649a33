//! A place that asks for a secret: protocol, host, port and path, compared whole. Pure.
//!
//! Lives here: reading an address, and whether one place lies within another. Never here: which entry is meant; that is `answer`.
//! Nothing is compared by a suffix, a substring or a pattern, and Unicode is not folded: what looks alike is not alike.

use std::fmt;

/// The protocol that is meant where an address names none.
const USUAL: &str = "https";

/// Where a secret is used, or wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// In lower case.
    pub protocol: String,
    /// In lower case, without the final dot; empty where a protocol has none.
    pub host: String,
    /// Where it is not the protocol's usual one.
    pub port: Option<u16>,
    /// The path's components.
    pub path: Vec<String>,
}

/// Why a text is no address, as the end of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// There is no host.
    NoHost,
    /// A character that no host has.
    Host,
    /// The port is no number.
    Port,
    /// A path with `..`, a control character, or a broken escape.
    Path,
    /// There is a password in it.
    Password,
    /// The protocol is no word.
    Protocol,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHost => "it has no host",
            Self::Host => "its host has a character that no host has",
            Self::Port => "its port is not a number",
            Self::Path => "its path has \"..\", a control character or a broken escape",
            Self::Password => "it has a password in it",
            Self::Protocol => "its protocol is not a word",
        })
    }
}

impl Place {
    /// An address as people write it, and the user it names: `https://octocat@github.com/me/repo`. Without a protocol it is https.
    pub fn parse(url: &str) -> Result<(Self, Option<String>), Wrong> {
        let (protocol, rest) = url.split_once("://").unwrap_or((USUAL, url));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let user = match user {
            Some(user) if user.contains(':') => return Err(Wrong::Password),
            Some(user) => Some(decoded(user).ok_or(Wrong::Host)?),
            None => None,
        };
        let path = decoded(path).ok_or(Wrong::Path)?;
        let place = Self::of_parts(protocol, host, Some(&path))?;
        Ok((place, user.filter(|user| !user.is_empty())))
    }

    /// A place whose parts were given one by one, without escapes: the host with its port.
    pub fn of_parts(protocol: &str, host: &str, path: Option<&str>) -> Result<Self, Wrong> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        if protocol.is_empty() || !protocol.chars().all(is_word) {
            return Err(Wrong::Protocol);
        }
        let protocol = protocol.to_ascii_lowercase();
        let (host, port) = host_and_port(host)?;
        // A file has a path and no host; everything else is somewhere.
        if host.is_empty() && protocol != "file" {
            return Err(Wrong::NoHost);
        }
        let path = path.unwrap_or_default();
        if path.chars().any(char::is_control) {
            return Err(Wrong::Path);
        }
        let path: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .map(str::to_owned)
            .collect();
        if path.iter().any(|part| part == "..") {
            return Err(Wrong::Path);
        }
        Ok(Self {
            port: port.filter(|port| usual_port(&protocol) != Some(*port)),
            protocol,
            host,
            path,
        })
    }

    /// How many components of this place's path lead to another; `None` if the other does not lie within. Both at the same
    /// host. A repository is the same with and without `.git`.
    pub fn leads_to(&self, other: &[String]) -> Option<usize> {
        let same = |(own, other): (&String, &String)| {
            own == other
                || other.strip_suffix(".git") == Some(own)
                || own.strip_suffix(".git") == Some(other)
        };
        let fits = self.path.len() <= other.len() && self.path.iter().zip(other).all(same);
        fits.then_some(self.path.len())
    }

    /// Host and port, as they stand in an address.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.protocol, self.authority())?;
        self.path.iter().try_for_each(|part| write!(f, "/{part}"))
    }
}

/// The port that is meant where none is named.
fn usual_port(protocol: &str) -> Option<u16> {
    match protocol {
        "https" => Some(443),
        "http" => Some(80),
        "ssh" => Some(22),
        _ => None,
    }
}

/// `host`, `host:port`, `[::1]` or `[::1]:port`.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), Wrong> {
    let address = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let (host, port) = if let Some((inner, rest)) = address {
        let is_odd = |c: char| !c.is_ascii_hexdigit() && !":.".contains(c);
        if inner.is_empty()
            || inner.chars().any(is_odd)
            || !(rest.is_empty() || rest.starts_with(':'))
        {
            return Err(Wrong::Host);
        }
        (format!("[{inner}]"), rest.strip_prefix(':'))
    } else {
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        // What a host may not have ends or hides one in some reader; letters beyond ASCII are compared as they are.
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || "/\\@%?#[]:'\"<>".contains(c);
        let has_gap = !host.is_empty() && host.split('.').any(str::is_empty);
        if has_gap || host.chars().any(is_odd) {
            return Err(Wrong::Host);
        }
        (host.to_owned(), port)
    };
    let number = |text: &str| {
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = is_digits.then(|| text.parse().ok()).flatten();
        number.ok_or(Wrong::Port)
    };
    let port = port
        .filter(|port| !port.is_empty())
        .map(number)
        .transpose()?;
    Ok((host.to_ascii_lowercase(), port))
}

/// A text with its percent escapes resolved; `None` if one is broken, or there is a control character or what is no UTF-8 then.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? << 4 | digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read() {
        for (text, shown, user) in [
            ("https://github.com", "https://github.com", None),
            ("github.com", "https://github.com", None),
            ("HTTPS://GitHub.COM./", "https://github.com", None),
            (
                "https://github.com:443/a//b/",
                "https://github.com/a/b",
                None,
            ),
            ("https://github.com:8443", "https://github.com:8443", None),
            ("http://localhost:80/x", "http://localhost/x", None),
            ("https://o%40c@h/a%20b?q=1#f", "https://h/a b", Some("o@c")),
            ("https://[::1]:8443/x", "https://[::1]:8443/x", None),
            ("file:///home/me/.ssh/id", "file:///home/me/.ssh/id", None),
            ("sparse+https://h/idx/", "sparse+https://h/idx", None),
            (
                "https://xn--gthub-cua.com",
                "https://xn--gthub-cua.com",
                None,
            ),
        ] {
            let (place, found) = Place::parse(text).unwrap();
            assert_eq!(
                (place.to_string().as_str(), found.as_deref()),
                (shown, user),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, wrong) in [
            ("", Wrong::NoHost),
            ("https:///path", Wrong::NoHost),
            ("://github.com", Wrong::Protocol),
            ("ht tp://github.com", Wrong::Protocol),
            ("https://u:p@github.com", Wrong::Password),
            ("https://github.com:x", Wrong::Port),
            ("https://github.com:99999", Wrong::Port),
            ("https://github.com:+443", Wrong::Port),
            ("https://github%2ecom", Wrong::Host),
            ("https://github.com\\.evil.example", Wrong::Host),
            ("https://github.com evil", Wrong::Host),
            ("https://.github.com", Wrong::Host),
            ("https://github.com..", Wrong::Host),
            ("https://github..com", Wrong::Host),
            ("https://[::1", Wrong::Host),
            ("https://h/a/../b", Wrong::Path),
            ("https://h/a%0ab", Wrong::Path),
            ("https://h/a%2", Wrong::Path),
            ("https://h/a%ff", Wrong::Path),
        ] {
            assert_eq!(Place::parse(text), Err(wrong), "{text:?}");
        }
        assert_eq!(Place::of_parts("https", "a\nb", None), Err(Wrong::Host));
        assert_eq!(Place::of_parts("https", "a", Some("x\r")), Err(Wrong::Path));
    }

    #[test]
    fn a_path_leads_to_what_lies_below_it() {
        for (own, other, expected) in [
            ("", "me/repo.git", Some(0)),
            ("me", "me/repo.git", Some(1)),
            ("me/repo", "me/repo.git", Some(2)),
            ("me/repo.git", "me/repo", Some(2)),
            ("me/repo", "me/repo.git/info/lfs", Some(2)),
            ("me/re", "me/repo", None),
            ("me/repo", "me", None),
            ("Me", "me", None),
        ] {
            let (place, _) = Place::parse(&format!("https://h/{own}")).unwrap();
            let other: Vec<String> = other.split('/').map(str::to_owned).collect();
            assert_eq!(place.leads_to(&other), expected, "{own} {other:?}");
        }
    }
}

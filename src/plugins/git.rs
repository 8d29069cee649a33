//! git's credential helper protocol: lines `key=value`, read strictly and written safely.
//!
//! A line ends at LF, and one CR before it is left off; nothing else ends a line. Whatever two readers could understand in two ways
//! is refused: a value with CR, NUL or another control character, a key that comes twice, a line without `=`.

use std::fmt;

use jiff::Timestamp;

use crate::policy::answer::Request;
use crate::policy::place::Place;
use crate::policy::place::Wrong;
use crate::secret::Secret;

/// Most bytes of a line, its end included.
const LINE_MAX_BYTES: usize = 65_535;
/// Most bytes of a description.
pub const MAX_BYTES: u64 = 1 << 20;
/// The scheme for which user and password are meant.
const BASIC: &str = "basic";
/// The scheme of a token alone.
const BEARER: &str = "Bearer";
/// What begins the state that is ours.
const STATE_PREFIX: &str = "vault.";

/// Keys that may come once.
const ONCE: [&str; 9] = [
    "protocol",
    "host",
    "path",
    "username",
    "password",
    "credential",
    "authtype",
    "ephemeral",
    "password_expiry_utc",
];

/// What is said to `capability`.
pub const CAPABILITIES: &str = "version 0\ncapability authtype\ncapability state\n";

/// What git says.
#[derive(Debug, Default)]
pub struct Description {
    protocol: Option<String>,
    host: Option<String>,
    path: Option<String>,
    /// The user.
    pub username: Option<String>,
    password: Option<Secret>,
    credential: Option<Secret>,
    /// Until when the password holds.
    pub expires: Option<Timestamp>,
    /// Nobody is to keep it.
    pub is_ephemeral: bool,
    /// What it talks about came from here.
    pub is_ours: bool,
    schemes: Vec<String>,
    knows_authtype: bool,
    knows_state: bool,
}

/// Why a description is not believed, as the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A line is longer than git makes one.
    TooLong,
    /// A line without `=`, or without a key.
    NoKey,
    /// A character that could end a line or a value elsewhere.
    Control(String),
    /// A value that is no text.
    NoText(String),
    /// A key that comes twice.
    Twice(String),
    /// There is no protocol.
    NoProtocol,
    /// There is no host.
    NoHost,
    /// It is no place.
    NoPlace(Wrong),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "a line is longer than 65535 bytes"),
            Self::NoKey => write!(f, "a line has no key"),
            Self::Control(key) => write!(f, "{key} holds a control character"),
            Self::NoText(key) => write!(f, "{key} is not UTF-8"),
            Self::Twice(key) => write!(f, "{key} comes twice"),
            Self::NoProtocol => write!(f, "it names no protocol"),
            Self::NoHost => write!(f, "it names no host"),
            Self::NoPlace(wrong) => wrong.fmt(f),
        }
    }
}

impl std::error::Error for Malformed {}

/// A value that would be more than one line: its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsendable(pub &'static str);

/// What git gets.
pub struct Answer<'a> {
    /// The user, where somebody is named.
    pub username: Option<&'a str>,
    /// The secret's one line.
    pub secret: &'a [u8],
    /// Until when it holds.
    pub expires: Option<Timestamp>,
}

impl Description {
    /// Reads it, up to its end or an empty line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut read = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n') {
            if line.len() >= LINE_MAX_BYTES {
                return Err(Malformed::TooLong);
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                break;
            }
            let at = line
                .iter()
                .position(|byte| *byte == b'=')
                .filter(|at| *at > 0);
            let (key, value) = at
                .and_then(|at| line.split_at_checked(at))
                .ok_or(Malformed::NoKey)?;
            let value = value.get(1..).unwrap_or_default();
            let key = std::str::from_utf8(key).map_err(|_| Malformed::NoKey)?;
            if key.chars().any(char::is_control) {
                return Err(Malformed::NoKey);
            }
            if value.iter().any(|byte| matches!(byte, b'\r' | 0)) {
                return Err(Malformed::Control(key.to_owned()));
            }
            if ONCE.contains(&key) {
                if seen.contains(&key) {
                    return Err(Malformed::Twice(key.to_owned()));
                }
                seen.push(key);
            }
            read.take(key, value)?;
        }
        Ok(read)
    }

    fn take(&mut self, key: &str, value: &[u8]) -> Result<(), Malformed> {
        let text = || {
            let text = std::str::from_utf8(value).map_err(|_| Malformed::NoText(key.to_owned()))?;
            if text.chars().any(char::is_control) {
                return Err(Malformed::Control(key.to_owned()));
            }
            Ok(text.to_owned())
        };
        match key {
            "protocol" => self.protocol = Some(text()?),
            "host" => self.host = Some(text()?),
            "path" => self.path = Some(text()?),
            "username" => self.username = Some(text()?),
            "password" => self.password = Some(Secret::copy_of(value)),
            "credential" => self.credential = Some(Secret::copy_of(value)),
            "ephemeral" => self.is_ephemeral = matches!(value, b"1" | b"true" | b"yes" | b"on"),
            "password_expiry_utc" => {
                // Zero, and what is no number, mean never.
                let seconds = text()?.parse().ok().filter(|seconds| *seconds > 0);
                self.expires = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
            }
            "capability[]" => match value {
                b"authtype" => self.knows_authtype = true,
                b"state" => self.knows_state = true,
                b"" => (self.knows_authtype, self.knows_state) = (false, false),
                _ => {}
            },
            "state[]" => self.is_ours |= value.starts_with(STATE_PREFIX.as_bytes()),
            "wwwauth[]" if value.is_empty() => self.schemes.clear(),
            "wwwauth[]" => {
                let word = value.split(|byte| *byte == b' ').next().unwrap_or_default();
                self.schemes
                    .push(String::from_utf8_lossy(word).to_ascii_lowercase());
            }
            _ => {}
        }
        Ok(())
    }

    /// What is asked for.
    pub fn request(&self) -> Result<Request, Malformed> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let protocol = given(&self.protocol).ok_or(Malformed::NoProtocol)?;
        let host = given(&self.host).ok_or(Malformed::NoHost)?;
        let path = given(&self.path);
        let place = Place::of_parts(&protocol, &host, path.as_deref());
        Ok(Request {
            place: place.map_err(Malformed::NoPlace)?,
            knows_path: path.is_some(),
            is_index: false,
            username: self.username.clone(),
        })
    }

    /// The secret that git talks about, after it was used.
    pub fn secret(&self) -> Option<&Secret> {
        self.password.as_ref().or(self.credential.as_ref())
    }

    /// User and password, where it has both.
    pub fn pair(&self) -> Option<(&str, &Secret)> {
        self.username.as_deref().zip(self.password.as_ref())
    }

    /// What git gets, in lines. Where the host takes a token alone and git knows of that, it gets the header's value; else user and
    /// password. Either way other helpers are told not to keep it.
    pub fn answer(&self, answer: &Answer<'_>) -> Result<Secret, Unsendable> {
        let is_bearer = self.knows_authtype && self.wants_bearer();
        let mut fields: Vec<(&'static str, Vec<u8>)> = Vec::new();
        let mut secret: Vec<(&'static str, &[u8])> = Vec::new();
        if self.knows_authtype {
            fields.push(("capability[]", b"authtype".to_vec()));
        }
        if self.knows_state {
            fields.push(("capability[]", b"state".to_vec()));
        }
        if self.knows_authtype {
            fields.push(("ephemeral", b"1".to_vec()));
        }
        if is_bearer {
            fields.push(("authtype", BEARER.as_bytes().to_vec()));
            secret.push(("credential", answer.secret));
        } else {
            let username = answer
                .username
                .map(|name| ("username", name.as_bytes().to_vec()));
            fields.extend(username);
            secret.push(("password", answer.secret));
        }
        if let Some(expires) = answer.expires {
            let seconds = expires.as_second().to_string().into_bytes();
            fields.push(("password_expiry_utc", seconds));
        }
        if self.knows_state {
            fields.push(("state[]", format!("{STATE_PREFIX}given=1").into_bytes()));
        }
        let fields = fields.iter().map(|(key, value)| (*key, value.as_slice()));
        lines(fields.chain(secret))
    }

    /// Whether the server takes a token in a header of its own, and no password.
    fn wants_bearer(&self) -> bool {
        let has = |scheme: &str| {
            self.schemes
                .iter()
                .any(|one| one.eq_ignore_ascii_case(scheme))
        };
        has(BEARER) && !has(BASIC)
    }
}

/// The lines of an answer, in a buffer that does not grow.
fn lines<'f>(
    fields: impl Iterator<Item = (&'static str, &'f [u8])> + Clone,
) -> Result<Secret, Unsendable> {
    let size = fields
        .clone()
        .map(|(key, value)| key.len() + value.len() + 2)
        .sum();
    let mut out = Vec::with_capacity(size);
    for (key, value) in fields {
        let breaks = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
        if value.iter().any(breaks) || key.len() + value.len() + 2 > LINE_MAX_BYTES {
            drop(Secret::new(out));
            return Err(Unsendable(key));
        }
        out.extend_from_slice(key.as_bytes());
        out.push(b'=');
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    Ok(Secret::new(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malformed(text: &str) -> Malformed {
        match Description::parse(text.as_bytes()) {
            Ok(read) => read.request().expect_err(text),
            Err(malformed) => malformed,
        }
    }

    fn answered(
        request: &str,
        username: Option<&str>,
        secret: &[u8],
    ) -> Result<String, Unsendable> {
        let expires = "2027-01-01T00:00:00Z".parse().ok();
        let answer = Answer {
            username,
            secret,
            expires,
        };
        let lines = Description::parse(request.as_bytes())
            .unwrap()
            .answer(&answer)?;
        Ok(String::from_utf8(lines.expose().to_vec()).unwrap())
    }

    #[test]
    fn a_request_is_read() {
        let text = "capability[]=authtype\nprotocol=https\r\nhost=GitHub.com:8443\npath=me/repo.git\n\
            username=a=b\nfuture=x\nfuture=y\nwwwauth[]=Basic realm=\"x\"\n\nhost=other\n";
        let read = Description::parse(text.as_bytes()).unwrap();
        let request = read.request().unwrap();
        assert_eq!(
            request.place.to_string(),
            "https://github.com:8443/me/repo.git"
        );
        assert!(request.knows_path);
        assert_eq!(request.username.as_deref(), Some("a=b"));
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let long = format!("protocol=https\nhost=h\nx={}\n", "y".repeat(LINE_MAX_BYTES));
        for (text, expected) in [
            (
                "protocol=https\nhost=a\nhost=b\n",
                Malformed::Twice("host".into()),
            ),
            (
                "protocol=https\nhost=a\nhost=a\n",
                Malformed::Twice("host".into()),
            ),
            (
                "protocol=https\nhost=a\rhost=b\n",
                Malformed::Control("host".into()),
            ),
            (
                "protocol=https\nhost=a\r\r\n",
                Malformed::Control("host".into()),
            ),
            (
                "protocol=https\nhost=a\0b\n",
                Malformed::Control("host".into()),
            ),
            (
                "protocol=https\nhost=h\nx=\r1\n",
                Malformed::Control("x".into()),
            ),
            (
                "protocol=https\nhost=a\u{85}b\n",
                Malformed::Control("host".into()),
            ),
            ("protocol=https\nhost=h\nhello\n", Malformed::NoKey),
            ("protocol=https\nhost=h\n=x\n", Malformed::NoKey),
            ("host=h\n", Malformed::NoProtocol),
            ("protocol=https\n", Malformed::NoHost),
            ("protocol=https\nhost=\n", Malformed::NoHost),
            ("protocol=\nhost=h\n", Malformed::NoProtocol),
            ("", Malformed::NoProtocol),
            (&long, Malformed::TooLong),
        ] {
            assert_eq!(malformed(text), expected, "{:?}", text.get(..40));
        }
        let latin = b"protocol=https\nhost=\xe9\n";
        assert!(Description::parse(latin).is_err());
    }

    #[test]
    fn old_gits_get_user_and_password() {
        let lines = answered("protocol=https\nhost=h\n", Some("me"), b"s3cret").unwrap();
        assert_eq!(
            lines,
            "username=me\npassword_expiry_utc=1798761600\npassword=s3cret\n"
        );
        let lines = answered("protocol=https\nhost=h\nwwwauth[]=Bearer\n", None, b"").unwrap();
        assert_eq!(lines, "password_expiry_utc=1798761600\npassword=\n");
    }

    #[test]
    fn newer_gits_get_what_they_announce() {
        let request = "capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=h\nwwwauth[]=Bearer realm=x\n";
        assert_eq!(
            answered(request, Some("me"), b"t").unwrap(),
            "capability[]=authtype\ncapability[]=state\nephemeral=1\nauthtype=Bearer\n\
             password_expiry_utc=1798761600\nstate[]=vault.given=1\ncredential=t\n"
        );
        let both = format!("{request}wwwauth[]=basic realm=y\n");
        let lines = answered(&both, Some("me"), b"t").unwrap();
        assert!(
            lines.contains("username=me\n") && lines.ends_with("password=t\n"),
            "{lines}"
        );
        let cleared = format!("{request}capability[]=\n");
        assert_eq!(
            answered(&cleared, None, b"t").unwrap(),
            "password_expiry_utc=1798761600\npassword=t\n"
        );
    }

    #[test]
    fn a_value_of_two_lines_is_never_sent() {
        let request = "protocol=https\nhost=h\n";
        for secret in [
            &b"a\nhost=evil"[..],
            b"a\rb",
            b"a\0b",
            b"a\n",
            &vec![b'x'; LINE_MAX_BYTES],
        ] {
            assert_eq!(answered(request, None, secret), Err(Unsendable("password")));
        }
        assert_eq!(
            answered(request, Some("a\nb"), b"x"),
            Err(Unsendable("username"))
        );
    }
}

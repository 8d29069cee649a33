//! cargo's credential provider protocol, version 1: a line of JSON each way, and the provider speaks first.

use jiff::Timestamp;
use serde::Deserialize;
use serde::Serialize;
use serde_json::json;

use crate::policy::answer::Request;
use crate::policy::answer::SPARSE;
use crate::policy::place::Place;
use crate::policy::place::Wrong;
use crate::secret::Secret;

/// Most bytes of a line.
pub const LINE_MAX_BYTES: u64 = 1 << 20;
/// What is said first: the versions that are spoken.
pub const HELLO: &str = "{\"v\":[1]}";
/// Room for JSON's escapes: each byte may become six.
const ESCAPED: usize = 6;

/// What cargo wants.
#[derive(Debug)]
pub enum Wanted {
    /// The token.
    Get(Request),
    /// This token is to be kept.
    Login(Request, Option<Secret>),
    /// The token is to be forgotten.
    Logout(Request),
    /// Something that a later cargo knows.
    Unknown,
}

/// Why a line is not understood, as the end of a sentence.
#[derive(Debug)]
pub enum Malformed {
    /// It is not the JSON of this protocol.
    Json,
    /// The index's address goes on after its path.
    Query,
    /// The index has no address.
    Place(Wrong),
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json => f.write_str("it is not a request of protocol 1"),
            Self::Query => f.write_str("its index has a query"),
            Self::Place(wrong) => wrong.fmt(f),
        }
    }
}

impl std::error::Error for Malformed {}

/// What cargo gets.
pub enum Reply<'r> {
    /// The token, and until when it holds.
    Token(&'r str, Option<Timestamp>),
    /// It is kept.
    Kept,
    /// There is none: cargo asks the next provider.
    NotFound,
    /// This provider does not do that.
    NotSupported,
    /// It failed, in one line.
    Failed(&'r str),
}

#[derive(Deserialize)]
struct Line {
    v: u32,
    registry: Registry,
    kind: String,
    token: Option<String>,
}

#[derive(Deserialize)]
struct Registry {
    #[serde(rename = "index-url")]
    index: String,
}

#[derive(Serialize)]
struct Granted<'t> {
    kind: &'static str,
    token: &'t str,
    cache: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<i64>,
    operation_independent: bool,
}

#[derive(Serialize)]
struct Done<T> {
    #[serde(rename = "Ok")]
    ok: T,
}

impl Wanted {
    /// Reads a line.
    pub fn parse(line: &[u8]) -> Result<Self, Malformed> {
        let read: Line = serde_json::from_slice(line).map_err(|_| Malformed::Json)?;
        let token = read.token.map(|token| Secret::new(token.into_bytes()));
        if read.v != 1 {
            return Err(Malformed::Json);
        }
        let index = read.registry.index;
        let url = index.strip_prefix(SPARSE).unwrap_or(&index);
        // What follows the path chooses another index there, and is not compared.
        if url.contains(['?', '#']) {
            return Err(Malformed::Query);
        }
        let (place, username) = Place::parse(url).map_err(Malformed::Place)?;
        let request = Request {
            place,
            knows_path: true,
            is_index: true,
            username,
        };
        Ok(match read.kind.as_str() {
            "get" => Self::Get(request),
            "login" => Self::Login(request, token),
            "logout" => Self::Logout(request),
            _ => Self::Unknown,
        })
    }
}

impl Reply<'_> {
    /// The reply in one line, without its end.
    pub fn line(&self) -> Secret {
        let value = match self {
            Self::Token(token, expires) => return token_line(token, *expires),
            Self::Kept => json!({ "Ok": { "kind": "login" } }),
            Self::NotFound => json!({ "Err": { "kind": "not-found" } }),
            Self::NotSupported => json!({ "Err": { "kind": "operation-not-supported" } }),
            Self::Failed(why) => {
                json!({ "Err": { "kind": "other", "message": why, "caused-by": [] } })
            }
        };
        Secret::new(value.to_string().into_bytes())
    }
}

/// In a buffer that does not grow.
fn token_line(token: &str, expires: Option<Timestamp>) -> Secret {
    let mut out = Vec::with_capacity(token.len() * ESCAPED + 200);
    let ok = Granted {
        kind: "get",
        token,
        cache: if expires.is_some() {
            "expires"
        } else {
            "session"
        },
        expiration: expires.map(Timestamp::as_second),
        operation_independent: true,
    };
    // Writing into memory does not fail.
    let _ = serde_json::to_writer(&mut out, &Done { ok });
    Secret::new(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_a_real_cargo_are_read() {
        let get = r#"{"v":1,"registry":{"index-url":"sparse+http://127.0.0.1:9001/idx/","name":"loc","headers":["WWW-Authenticate: Cargo"]},"kind":"get","operation":"read","args":["--flag"]}"#;
        match Wanted::parse(get.as_bytes()).unwrap() {
            Wanted::Get(request) => {
                assert_eq!(request.place.to_string(), "http://127.0.0.1:9001/idx");
            }
            other => panic!("{other:?}"),
        }
        let login = r#"{"v":1,"registry":{"index-url":"https://h/idx"},"kind":"login","token":"tok","login-url":"https://h/me"}"#;
        match Wanted::parse(login.as_bytes()).unwrap() {
            Wanted::Login(_, Some(token)) => assert_eq!(token.expose(), b"tok"),
            other => panic!("{other:?}"),
        }
        let later = r#"{"v":1,"registry":{"index-url":"https://h"},"kind":"rotate"}"#;
        assert!(matches!(
            Wanted::parse(later.as_bytes()),
            Ok(Wanted::Unknown)
        ));
        for wrong in [
            "",
            "{}",
            "[1]",
            &get.replace("\"v\":1", "\"v\":2"),
            &get.replace("127.0.0.1", "u:p@h"),
            &get.replace("/idx/", "/?idx/"),
            &get.replace("/idx/", "/#idx/"),
        ] {
            assert!(Wanted::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn replies_are_one_line() {
        let text = |reply: Reply<'_>| String::from_utf8(reply.line().expose().to_vec()).unwrap();
        assert_eq!(
            text(Reply::Token("a\"b", Timestamp::from_second(7).ok())),
            r#"{"Ok":{"kind":"get","token":"a\"b","cache":"expires","expiration":7,"operation_independent":true}}"#
        );
        assert!(text(Reply::Token("t", None)).contains(r#""cache":"session""#));
        assert!(text(Reply::Failed("locked")).contains(r#""message":"locked""#));
    }
}

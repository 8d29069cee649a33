//! docker's credential helper protocol, which podman and skopeo speak too: a server's name on stdin, JSON on stdout.
//!
//! What fails is said on stdout; some texts are compared by the clients.

use std::borrow::Cow;

use serde::Deserialize;
use serde::Serialize;

use crate::policy::answer::Request;
use crate::policy::place::Place;
use crate::policy::place::Wrong;
use crate::secret::Secret;

/// Most bytes of what is read.
pub const MAX_BYTES: u64 = 1 << 20;
/// There is none: the client goes on without.
pub const NOT_FOUND: &str = "credentials not found in native keychain";
/// Nothing was named.
pub const NO_SERVER: &str = "no credentials server URL";
/// Room for JSON's escapes: each byte may become six.
const ESCAPED: usize = 6;

/// What is to be kept.
#[derive(Deserialize)]
pub struct New<'n> {
    /// Where.
    #[serde(borrow, rename = "ServerURL")]
    pub server: Cow<'n, str>,
    /// By whom.
    #[serde(borrow, rename = "Username")]
    pub username: Cow<'n, str>,
    /// The password.
    #[serde(borrow, rename = "Secret")]
    secret: Cow<'n, str>,
}

#[derive(Serialize)]
struct Given<'g> {
    #[serde(rename = "ServerURL")]
    server: &'g str,
    #[serde(rename = "Username")]
    username: &'g str,
    #[serde(rename = "Secret")]
    secret: &'g str,
}

impl<'n> New<'n> {
    /// Reads what `store` is told; `None` if it is not that.
    pub fn parse(bytes: &'n [u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The password.
    pub fn secret(&self) -> Secret {
        Secret::copy_of(self.secret.as_bytes())
    }
}

/// A server as a client names it: `host:port`, or an address. Without a protocol it is https.
pub fn request(server: &str) -> Result<Request, Wrong> {
    let (place, username) = Place::parse(server.trim())?;
    Ok(Request {
        knows_path: true,
        is_index: false,
        place,
        username,
    })
}

/// What `get` answers, in a buffer that does not grow.
pub fn answer(server: &str, username: &str, secret: &str) -> Secret {
    let size = server.len() + username.len() + secret.len();
    let mut out = Vec::with_capacity(size * ESCAPED + 100);
    let given = Given {
        server,
        username,
        secret,
    };
    // Writing into memory does not fail.
    let _ = serde_json::to_writer(&mut out, &given);
    Secret::new(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_places() {
        for (server, place) in [
            ("127.0.0.1:5055", "https://127.0.0.1:5055"),
            (
                "https://registry.example/v1/\n",
                "https://registry.example/v1",
            ),
            ("http://localhost:5000", "http://localhost:5000"),
        ] {
            assert_eq!(request(server).unwrap().place.to_string(), place);
        }
        assert!(request("").is_err());
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let lines = answer("h", "me", "a\"b\\c\n");
        let new = New::parse(lines.expose()).unwrap();
        assert_eq!((&*new.server, &*new.username), ("h", "me"));
        assert_eq!(new.secret().expose(), b"a\"b\\c\n");
        assert!(New::parse(b"{}").is_none());
    }
}

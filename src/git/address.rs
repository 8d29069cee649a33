//! Addresses of remotes.
//!
//! Lives here: what git would take for an address, and a secret that somebody has put into one. Never here: which remote is
//! meant.

/// How a token begins that is given as a user name. <https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/>,
/// <https://docs.gitlab.com/security/tokens/#token-prefixes>
const TOKEN_PREFIXES: [&str; 9] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glcbt-",
];
/// A user name of as many bytes is taken for a token.
const TOKEN_BYTES: usize = 32;

/// Whether git would take a text for an address and nothing else.
pub fn is_address(url: &str) -> bool {
    !url.is_empty()
        && !url.starts_with('-')
        && !url.contains("::")
        && !url.chars().any(char::is_control)
}

/// Whether an address holds what git would pass on as a secret, in the arguments of the programs that it starts: a password, or a token in
/// place of a user name.
pub fn holds_secret(url: &str) -> bool {
    Parts::of(url).is_some_and(|parts| parts.secret().is_some())
}

/// An address as it may be shown: without such a secret.
pub fn shown(url: &str) -> String {
    let hidden = Parts::of(url).and_then(|parts| {
        let kept = parts.secret()?;
        let Parts {
            scheme, host, path, ..
        } = parts;
        Some(format!("{scheme}://{kept}***@{host}{path}"))
    });
    hidden.unwrap_or_else(|| url.to_owned())
}

/// `SCHEME://USER@HOST/PATH`
struct Parts<'u> {
    scheme: &'u str,
    user: &'u str,
    host: &'u str,
    path: &'u str,
}

impl<'u> Parts<'u> {
    fn of(url: &'u str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@')?;
        Some(Self {
            scheme,
            user,
            host,
            path,
        })
    }

    /// What of the user's part is no secret, if some of it is one.
    fn secret(&self) -> Option<&'u str> {
        if let Some(colon) = self.user.find(':') {
            let (name, _) = self.user.split_at(colon + 1);
            return Some(if is_token(self.user) { "" } else { name });
        }
        let by_web = self.scheme.to_ascii_lowercase().starts_with("http");
        (by_web && is_token(self.user)).then_some("")
    }
}

fn is_token(user: &str) -> bool {
    let name = user.split(':').next().unwrap_or(user);

    name.len() >= TOKEN_BYTES
        || TOKEN_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(*prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_no_option_and_no_program() {
        for (url, ok) in [
            ("https://host/x.git", true),
            ("git@host:me/store.git", true),
            ("/srv/store.git", true),
            ("--upload-pack=x", false),
            ("ext::sh -c x", false),
            ("", false),
            ("a\nb", false),
        ] {
            assert_eq!(is_address(url), ok, "{url}");
        }
    }

    #[test]
    fn a_secret_in_an_address_is_known_and_not_shown() {
        for (url, text) in [
            ("https://me:pw@host/x", "https://me:***@host/x"),
            ("https://me:p@w@host", "https://me:***@host"),
            ("ssh://me:pw@host/x", "ssh://me:***@host/x"),
            ("https://ghp_abc@host/x", "https://***@host/x"),
            ("https://ghp_abc:x-oauth-basic@host/x", "https://***@host/x"),
            ("HTTPS://glpat-abc@host?x", "HTTPS://***@host?x"),
            (
                "https://0123456789abcdef0123456789abcdef@host/",
                "https://***@host/",
            ),
        ] {
            assert!(holds_secret(url), "{url}");
            assert_eq!(shown(url), text);
        }
        for url in [
            "https://me@host/x:y",
            "https://host/a:b@c",
            "/srv/store.git",
            "git@host:x",
            "ssh://a-user-name-of-more-than-thirty-two-bytes@host/x",
        ] {
            assert!(!holds_secret(url), "{url}");
            assert_eq!(shown(url), url);
        }
    }
}

//! Environment variables: which texts are names of one, and which of them can take over a process.

use glob::Pattern;

/// Variables that make a program load code, start another program, or obey someone else: one a line, with at most one star
/// for anything, and `!` before those that only carry a secret.
const DANGEROUS: &str = include_str!("variable/dangerous.txt");

/// Which variables are let through: those that fit a pattern of `only`, if there is one, and none of `except`.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    /// Patterns of which one must fit, if there is any.
    pub only: Vec<Pattern>,
    /// Patterns of which none may fit.
    pub except: Vec<Pattern>,
}

impl Sieve {
    /// Whether a variable is let through.
    pub fn passes(&self, name: &str) -> bool {
        let fits = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(name));
        (self.only.is_empty() || fits(&self.only)) && !fits(&self.except)
    }
}

/// Whether a text may name an environment variable: `[A-Za-z_][A-Za-z0-9_]*`.
pub fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether a variable of this name can take over the process that gets it.
pub fn is_dangerous(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let lines = || {
        DANGEROUS
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
    };
    let is_harmless = |line: &str| line.strip_prefix('!').is_some_and(|line| fits(line, &name));
    lines().any(|line| fits(line, &name)) && !lines().any(is_harmless)
}

/// Whether a name is this one, or like it, with a star for anything.
fn fits(line: &str, name: &str) -> bool {
    let Some((start, end)) = line.split_once('*') else {
        return line == name;
    };
    let rest = name.strip_prefix(start);
    rest.is_some_and(|rest| rest.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_over_a_process_is_dangerous() {
        let dangerous = "PATH ld_preload LD_LIBRARY_PATH DYLD_INSERT_LIBRARIES BASH_ENV BASH_FUNC_ls NODE_OPTIONS \
            GIT_SSH_COMMAND GIT_CONFIG_COUNT GIT_SSL_CAINFO AGEVAULT_KEY npm_config_script_shell \
            CARGO_BUILD_RUSTC_WRAPPER RUSTC RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER GOFLAGS GOCACHEPROG \
            _JAVA_OPTIONS JDK_JAVA_OPTIONS JAVA_TOOL_OPTIONS MAVEN_OPTS OPENSSL_CONF LUA_INIT LUA_INIT_5_4 \
            DOTNET_STARTUP_HOOKS COR_PROFILER_PATH_64 NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED \
            SSL_CERT_FILE SSL_CERT_DIR CURL_HOME CURL_CA_BUNDLE REQUESTS_CA_BUNDLE https_proxy ALL_PROXY NO_PROXY \
            SSH_ASKPASS KUBE_EDITOR GH_BROWSER AWS_PAGER TAR_OPTIONS RIPGREP_CONFIG_PATH PERL5OPT SSLKEYLOGFILE";
        for name in dangerous.split_whitespace() {
            assert!(is_dangerous(name), "{name}");
        }
        let harmless = "GITHUB_TOKEN NPM_TOKEN GIT_TOKEN GH_TOKEN CARGO_REGISTRY_TOKEN CARGO_REGISTRIES_WORK_TOKEN \
            AWS_SECRET_ACCESS_KEY PATHOLOGY MY_PATH NODE_AUTH_TOKEN NODE_ENV KUBECONFIG PIP_INDEX_URL PERLA_TOKEN \
            ANSIBLE_VAULT_PASSWORD_FILE PYTHONUNBUFFERED PGPASSWORD DOTNET_ENVIRONMENT CARGO_REGISTRIES_TOKEN_X";
        for name in harmless.split_whitespace() {
            assert_eq!(
                is_dangerous(name),
                name == "CARGO_REGISTRIES_TOKEN_X",
                "{name}"
            );
        }
    }

    #[test]
    fn the_list_is_one_of_patterns_that_each_say_something() {
        let lines: Vec<&str> = DANGEROUS
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let name = line.trim_start_matches('!').replacen('*', "", 1);
            let is_ok = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            assert!(name.len() > 1 && name.chars().all(is_ok), "{line}");
            assert_eq!(
                lines.iter().filter(|other| other == &line).count(),
                1,
                "{line} twice"
            );
        }
    }

    #[test]
    fn patterns_let_variables_through() {
        let sieve = |only: &[&str], except: &[&str]| Sieve {
            only: only
                .iter()
                .map(|text| Pattern::new(text).unwrap())
                .collect(),
            except: except
                .iter()
                .map(|text| Pattern::new(text).unwrap())
                .collect(),
        };
        for (only, except, passes) in [
            (&[][..], &[][..], true),
            (&["GITHUB_*"], &[], true),
            (&["NPM_*", "*_TOKEN"], &[], true),
            (&["github_*"], &[], false),
            (&["GITHUB_TOKE?"], &["*"], false),
            (&[], &["GITHUB_TOKEN"], false),
            (&[], &["NPM_[A-Z]*"], true),
        ] {
            assert_eq!(
                sieve(only, except).passes("GITHUB_TOKEN"),
                passes,
                "{only:?} {except:?}"
            );
        }
    }

    #[test]
    fn names_of_variables() {
        for (text, ok) in [
            ("A", true),
            ("_a1", true),
            ("", false),
            ("1A", false),
            ("A-B", false),
            ("A=B", false),
            ("É", false),
        ] {
            assert_eq!(is_name(text), ok, "{text}");
        }
    }
}

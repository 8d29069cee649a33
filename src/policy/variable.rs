//! Environment variables: which texts are names of one, and which of them can take over a process.

use glob::Pattern;

/// Variables that make a program load code, start another program, or obey someone else, by exact name.
///
/// From the manuals of ld.so, bash, zsh, git, ssh, less, python, perl, ruby, node, java, go, rust, make and gdb.
const DANGEROUS: [&str; 78] = [
    "PATH",
    "IFS",
    "ENV",
    "SHELL",
    "SHELLOPTS",
    "BASHOPTS",
    "BASH_ENV",
    "PS4",
    "PROMPT_COMMAND",
    "CDPATH",
    "GLOBIGNORE",
    "ZDOTDIR",
    "FPATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TERMINFO",
    "TERMINFO_DIRS",
    "TERMCAP",
    "LOCPATH",
    "NLSPATH",
    "HOSTALIASES",
    "RES_OPTIONS",
    "LOCALDOMAIN",
    "GCONV_PATH",
    "GETCONF_DIR",
    "MALLOC_TRACE",
    "NIS_PATH",
    "RESOLV_HOST_CONF",
    "GLIBC_TUNABLES",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "BROWSER",
    "MANPAGER",
    "LESS",
    "LESSOPEN",
    "LESSCLOSE",
    "LESSEDIT",
    "LESSKEY",
    "SUDO_ASKPASS",
    "SUDO_EDITOR",
    "SSH_ASKPASS",
    "SSH_AUTH_SOCK",
    "RSYNC_RSH",
    "CVS_RSH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_REPL_EXTERNAL_MODULE",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
    "PYTHONUSERBASE",
    "PYTHONEXECUTABLE",
    "PYTHONBREAKPOINT",
    "PYTHONWARNINGS",
    "PERL5LIB",
    "PERLLIB",
    "PERL5OPT",
    "PERL5DB",
    "RUBYOPT",
    "RUBYLIB",
    "GEM_PATH",
    "GEM_HOME",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "RUSTC_WRAPPER",
    "RUSTC",
    "RUSTFLAGS",
    "MAKEFLAGS",
    "MAKEFILES",
    "AWKPATH",
    "AWKLIBPATH",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
];

/// Families of such variables, by how their names begin.
const DANGEROUS_PREFIXES: [&str; 9] = [
    "LD_",
    "DYLD_",
    "_RLD",
    "BASH_FUNC_",
    "GIT_",
    "NPM_CONFIG_",
    "CARGO_",
    "XDG_",
    "AGEVAULT_",
];

/// Members of those families that only carry a secret.
const HARMLESS: [&str; 5] = [
    "GIT_TOKEN",
    "GIT_PASSWORD",
    "GIT_USERNAME",
    "CARGO_REGISTRY_TOKEN",
    "CARGO_REGISTRIES_",
];

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
    let upper = name.to_ascii_uppercase();
    let is_family =
        |known: &str| known.ends_with('_') && upper.starts_with(known) && upper.ends_with("_TOKEN");
    if HARMLESS
        .iter()
        .any(|known| upper == *known || is_family(known))
    {
        return false;
    }
    DANGEROUS.contains(&upper.as_str())
        || DANGEROUS_PREFIXES
            .iter()
            .any(|prefix| upper.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_over_a_process_is_dangerous() {
        for name in [
            "PATH",
            "ld_preload",
            "LD_LIBRARY_PATH",
            "DYLD_INSERT_LIBRARIES",
            "BASH_ENV",
            "NODE_OPTIONS",
            "GIT_SSH_COMMAND",
            "GIT_CONFIG_COUNT",
            "AGEVAULT_KEY",
            "npm_config_script_shell",
            "CARGO_BUILD_RUSTC_WRAPPER",
        ] {
            assert!(is_dangerous(name), "{name}");
        }
        for name in [
            "GITHUB_TOKEN",
            "NPM_TOKEN",
            "GIT_TOKEN",
            "CARGO_REGISTRY_TOKEN",
            "CARGO_REGISTRIES_WORK_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "GH_TOKEN",
            "PATHOLOGY",
            "MY_PATH",
        ] {
            assert!(!is_dangerous(name), "{name}");
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

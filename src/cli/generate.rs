//! `vault generate`: a random secret, made here.

use zeroize::Zeroizing;

use crate::cli::Outcome;
use crate::cli::Run;
use crate::cli::add::may_replace;
use crate::cli::add::tell_expiry;
use crate::cli::clipboard;
use crate::cli::complete;
use crate::cli::context::Context;
use crate::cli::context::Target;
use crate::cli::failure::Failure;
use crate::cli::fields::Fields;
use crate::config::Config;
use crate::crypto::words;
use crate::format::Header;
use crate::format::Name;
use crate::secret::Secret;

/// The length where neither the command line nor the configuration says one, in characters.
const LENGTH: usize = 32;
/// The longest secret that is made, in characters.
const LENGTH_MAX: usize = 65_536;
/// Most words of a passphrase.
const WORDS_MAX: usize = 1_000;
/// Below this many bits a secret can be guessed by somebody who has its hash.
const WEAK_BITS: u32 = 64;
/// So many bits choose one word of the list.
const WORD_BITS: u32 = 11;
/// What parts the words.
const BETWEEN_WORDS: u8 = b'-';
/// What a generated secret is, unless `--kind` says otherwise.
const KIND: &str = "password";

/// Arguments of `generate`.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
The secret is made of letters, digits and punctuation, each character as likely as any other; its length is the
configuration's generate-length, or 32. It is not shown unless -p or -c asks for it.

Replacing an entry keeps its other fields and clears its expiry date unless a new one is given; -i keeps all of them.

Examples:
  vault generate web/forum
  vault generate -n -c wifi/guest 20
  vault generate --words 7 backup/disk --description 'the drawer disk'
  vault generate -i web/forum")]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Args {
    /// The entry: NAME, or STORE:NAME
    #[arg(add = complete::names())]
    name: String,
    /// How many characters [default: the setting generate-length, or 32]
    length: Option<usize>,
    /// Letters and digits only
    #[arg(short, long)]
    no_symbols: bool,
    /// Choose among these characters only
    #[arg(long, value_name = "CHARACTERS", conflicts_with = "no_symbols")]
    charset: Option<String>,
    /// A passphrase of this many words instead (11 bits each)
    #[arg(long, value_name = "COUNT", conflicts_with_all = ["length", "no_symbols", "charset"])]
    words: Option<usize>,
    /// Print it
    #[arg(short, long)]
    print: bool,
    /// Copy it to the clipboard, for 45 seconds
    #[arg(short, long, conflicts_with = "print")]
    copy: bool,
    /// Replace the secret of an entry and keep all its fields
    #[arg(short, long)]
    in_place: bool,
    /// Replace an entry without asking
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    fields: Fields,
}

impl Run for Args {
    fn run(self, cx: &mut Context) -> Outcome {
        let target = Target::parse(&self.name)?;
        let recipe = self.recipe(cx)?;
        let mut probe = Header::new(&target.name, cx.env.now);
        self.fields.apply(&mut probe, cx.env.now)?;
        let opened = cx.open(target.store.as_deref())?;
        let is_there = opened.store.has(&target.name)?;
        if self.in_place && !is_there {
            return Err(Context::no_entry(&opened.store, &target.name));
        }
        if is_there && !self.force && !self.in_place {
            may_replace(cx, &target.name)?;
        }
        let keys = cx.unlock(&opened)?;
        let secret = recipe
            .cook(&mut system_random)
            .map_err(|error| Failure::failed(format!("no random bytes: {error}")))?;
        let mut writer = cx.writer(&opened.store, &keys)?;
        // Under the lock: what another process has written meanwhile is what gets replaced.
        let is_there_now = opened.store.has(&target.name)?;
        if is_there_now && !is_there && !self.force {
            let text = format!("\"{}\" was made by another process meanwhile", target.name);
            return Err(Failure::failed(text).hint("replace it with -f"));
        }
        let old = if is_there_now {
            Some(opened.store.look(&keys, &target.name)?.0)
        } else {
            None
        };
        let header = self.header(cx, &target.name, old)?;
        writer.put(&target.name, header, &secret)?;
        let (verb, done) = if is_there_now {
            ("replace", "replaced")
        } else {
            ("add", "added")
        };
        writer.commit(&format!("{verb} {}", target.name))?;
        let size = self.words.map_or_else(
            || format!("{} characters", secret.len()),
            |count| format!("{count} words"),
        );
        cx.ui.say(&format!("{done} \"{}\": {size}", target.name));
        if recipe.bits() < WEAK_BITS {
            cx.ui.warn(&format!(
                "it has only {} bits: long enough for a web form, not against somebody who can try fast",
                recipe.bits()
            ));
        }
        if self.copy {
            clipboard::copy_and_say(cx, &target.name, &secret)?;
        } else if self.print {
            cx.ui.secret(&secret)?;
        }
        Ok(0)
    }
}

impl Args {
    /// What is to be made, checked.
    fn recipe(&self, cx: &Context) -> Result<Recipe, Failure> {
        if let Some(count) = self.words {
            return check_range(count, WORDS_MAX, "words").map(Recipe::Words);
        }
        let configured = Config::load(&cx.env)?.generate_length;
        let length = self.length.or(configured).unwrap_or(LENGTH);
        let length = check_range(length, LENGTH_MAX, "characters")?;
        let alphabet = match &self.charset {
            Some(text) => alphabet(text)?,
            None => printable(self.no_symbols),
        };
        Ok(Recipe::Characters { alphabet, length })
    }

    /// The metadata of the new secret.
    fn header(&self, cx: &Context, name: &Name, old: Option<Header>) -> Result<Header, Failure> {
        let mut header = old.unwrap_or_else(|| Header::new(name, cx.env.now));
        if !self.in_place {
            header.expires = None;
            header.kind = Some(KIND.to_owned());
        }
        self.fields.apply(&mut header, cx.env.now)?;
        tell_expiry(cx, &header);
        Ok(header)
    }
}

/// What is made.
enum Recipe {
    /// So many characters of an alphabet.
    Characters { alphabet: Vec<u8>, length: usize },
    /// So many words.
    Words(usize),
}

impl Recipe {
    /// How many whole bits of chance are in it; 128 stands for all that is more. In integers: a logarithm would load the
    /// library of mathematics at every start of the program.
    fn bits(&self) -> u32 {
        let (choices, times) = match self {
            Self::Characters { alphabet, length } => (alphabet.len(), *length),
            Self::Words(count) => (1 << WORD_BITS, *count),
        };
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        let all = (choices as u128).checked_pow(times);
        all.map_or(128, |all| all.checked_ilog2().unwrap_or(0))
    }

    fn cook(&self, random: &mut Random<'_>) -> Result<Secret, getrandom::Error> {
        match self {
            Self::Characters { alphabet, length } => characters(alphabet, *length, random),
            Self::Words(count) => words(*count, random),
        }
    }
}

/// Fills a buffer with random bytes.
type Random<'r> = dyn FnMut(&mut [u8]) -> Result<(), getrandom::Error> + 'r;

fn system_random(buffer: &mut [u8]) -> Result<(), getrandom::Error> {
    getrandom::fill(buffer)
}

/// Characters of an alphabet, each as likely as any other: bytes beyond the last whole multiple of its size are drawn again.
fn characters(
    alphabet: &[u8],
    length: usize,
    random: &mut Random<'_>,
) -> Result<Secret, getrandom::Error> {
    let fair = 256 - 256 % alphabet.len().max(1);
    let mut bytes = Zeroizing::new([0_u8; 64]);
    let mut out = Zeroizing::new(Vec::with_capacity(length));
    while out.len() < length {
        random(bytes.as_mut_slice())?;
        let drawn = bytes
            .iter()
            .map(|byte| usize::from(*byte))
            .filter(|byte| *byte < fair);
        let drawn = drawn.filter_map(|byte| alphabet.get(byte % alphabet.len()));
        let missing = length - out.len();
        out.extend(drawn.take(missing));
    }
    Ok(Secret::new(std::mem::take(&mut *out)))
}

/// Words of BIP 39's English list, which has 2048 of them: eleven bits choose one.
fn words(count: usize, random: &mut Random<'_>) -> Result<Secret, getrandom::Error> {
    let list = words::list();
    let longest = list.iter().map(|word| word.len()).max().unwrap_or(0);
    let mut out = Zeroizing::new(Vec::with_capacity(count * (longest + 1)));
    for number in 0..count {
        let mut bytes = Zeroizing::new([0_u8; 2]);
        random(bytes.as_mut_slice())?;
        let at = usize::from(u16::from_le_bytes(*bytes)) % list.len();
        if number > 0 {
            out.push(BETWEEN_WORDS);
        }
        out.extend_from_slice(list.get(at).map_or(b"", |word| word.as_bytes()));
    }
    Ok(Secret::new(std::mem::take(&mut *out)))
}

/// What is on a keyboard, without the space.
fn printable(no_symbols: bool) -> Vec<u8> {
    (b'!'..=b'~')
        .filter(|byte| !no_symbols || byte.is_ascii_alphanumeric())
        .collect()
}

/// The characters of `--charset`, each once.
fn alphabet(text: &str) -> Result<Vec<u8>, Failure> {
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(Failure::usage(
            "--charset takes characters of an English keyboard",
        ));
    }
    let mut bytes = text.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes.dedup();
    if bytes.len() < 2 {
        return Err(Failure::usage("--charset needs at least two characters"));
    }
    Ok(bytes)
}

fn check_range(count: usize, most: usize, what: &str) -> Result<usize, Failure> {
    if (1..=most).contains(&count) {
        return Ok(count);
    }
    Err(Failure::usage(format!(
        "{count} {what} cannot be made: from 1 to {most}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0, 1, 2, … 255, 0, …
    fn counter() -> impl FnMut(&mut [u8]) -> Result<(), getrandom::Error> {
        let mut next = 0_u8;
        move |buffer| {
            for byte in buffer {
                *byte = next;
                next = next.wrapping_add(1);
            }
            Ok(())
        }
    }

    #[test]
    fn alphabets_are_what_they_say() {
        assert_eq!(printable(false).len(), 94);
        assert_eq!(printable(true).len(), 62);
        assert_eq!(alphabet("cabbage").unwrap(), b"abceg");
        for bad in ["", "aa", "aé", "a\n"] {
            assert!(alphabet(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn each_character_is_as_likely_as_any_other() {
        // All bytes once: of 94 characters each must come up twice, and the 68 bytes left over not at all.
        let secret = characters(&printable(false), 188, &mut counter()).unwrap();
        for character in printable(false) {
            let bytes = secret.expose().iter();
            let count = bytes
                .filter(|byte| **byte == character)
                .fold(0, |n, _| n + 1);
            assert_eq!(count, 2, "{}", char::from(character));
        }
    }

    #[test]
    fn a_secret_has_the_length_asked_for() {
        for length in [1, 63, 64, 65, 1000] {
            let secret = characters(b"ab", length, &mut system_random).unwrap();
            assert_eq!(secret.len(), length);
        }
    }

    #[test]
    fn words_come_from_the_whole_list() {
        let mut last = |buffer: &mut [u8]| {
            buffer.fill(0xff);
            Ok(())
        };
        assert_eq!(words(2, &mut last).unwrap().expose(), b"zoo-zoo");
        let mut first = |buffer: &mut [u8]| {
            buffer.copy_from_slice(&[0, 8]);
            Ok(())
        };
        assert_eq!(words(1, &mut first).unwrap().expose(), b"abandon");
    }

    #[test]
    fn bits_are_told_right() {
        let hex = Recipe::Characters {
            alphabet: b"0123456789abcdef".to_vec(),
            length: 16,
        };
        assert_eq!(hex.bits(), 64);
        assert_eq!(Recipe::Words(6).bits(), 66);
        assert_eq!(Recipe::Words(600).bits(), 128);
    }
}

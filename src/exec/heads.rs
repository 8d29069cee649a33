//! Where in a stream some shape may begin: found many bytes at a time, by what every shape has near its beginning.
//!
//! Lives here: the jump to the next such place. Never here: whether a shape is there; the automaton of `mask` tells.
//!
//! Every shape has at least `reach` bytes. Of its first `reach` any few in a row, as many as one look takes, are noted, by a
//! hash, as a bit. In a stream the looks lie so far apart that one of them falls within the first `reach` bytes of whatever
//! shape there is. So most of a stream is passed over, however many secrets there are.

/// How many bytes a look takes; of shapes that are all longer, more, for which fewer alarms are false.
const LOOKS: (usize, usize) = (4, 8);
/// From this reach on a look takes more.
const LONG_REACH: usize = 12;
/// More of a shape's beginning is not noted: longer strides gain little and fill the table.
const REACH_MAX: usize = 24;
/// How many bits there are for each bit that is set: a false alarm costs more than a look.
const BITS_EACH: usize = 32;
/// The least and the most bits of the table, as powers of two; more would not stay in a processor's cache.
const POWERS: (u32, u32) = (12, 22);

const WORD_BITS: usize = u64::BITS as usize;
/// An odd number whose bits look random: the upper bits of a product with it depend on all of the other factor.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What the shapes have near their beginnings.
pub(super) struct Heads {
    table: Vec<u64>,
    /// By how much a hash is shifted to be the number of a bit.
    shift: u32,
    /// Whether a look takes more.
    is_long: bool,
    /// How far from the place where a shape may begin the look at it is.
    ahead: usize,
}

impl Heads {
    /// `None` if there is no shape, or one that is shorter than a look.
    pub(super) fn of<'p>(patterns: impl Iterator<Item = &'p [u8]> + Clone) -> Option<Self> {
        let shortest = patterns.clone().map(<[u8]>::len).min()?;
        let reach = shortest.min(REACH_MAX);
        let is_long = reach >= LONG_REACH;
        let width = if is_long { LOOKS.1 } else { LOOKS.0 };
        let ahead = reach.checked_sub(width)?;
        let mut looks: Vec<u64> = patterns
            .filter_map(|one| one.get(..reach))
            .flat_map(|head| head.windows(width).filter_map(|look| number(look, is_long)))
            .collect();
        looks.sort_unstable();
        looks.dedup();
        let bits = (looks.len() * BITS_EACH).next_power_of_two();
        let power = bits.trailing_zeros().clamp(POWERS.0, POWERS.1);
        let mut heads = Self {
            table: vec![0; (1 << power) / WORD_BITS],
            shift: u64::BITS - power,
            is_long,
            ahead,
        };
        for look in looks {
            let (word, bit) = heads.place(look);
            if let Some(word) = heads.table.get_mut(word) {
                *word |= bit;
            }
        }
        Some(heads)
    }

    /// The first place from `at` on where a shape may begin; towards the end of the data, where its beginning may be cut off.
    pub(super) fn next(&self, data: &[u8], at: usize) -> usize {
        if self.is_long {
            self.next_of::<true>(data, at)
        } else {
            self.next_of::<false>(data, at)
        }
    }

    fn next_of<const IS_LONG: bool>(&self, data: &[u8], at: usize) -> usize {
        let mut start = at;
        while let Some(look) = data
            .get(start + self.ahead..)
            .and_then(|bytes| number(bytes, IS_LONG))
        {
            let (word, bit) = self.place(look);
            if self.table.get(word).is_none_or(|word| word & bit != 0) {
                break;
            }
            start += self.ahead + 1;
        }
        start
    }

    /// The word of the table, and the bit in it, for a look.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "it has at most as many bits as the table's size needs"
    )]
    fn place(&self, look: u64) -> (usize, u64) {
        let number = (look.wrapping_mul(SPREAD) >> self.shift) as usize;
        (number / WORD_BITS, 1 << (number % WORD_BITS))
    }
}

/// The first bytes, as many as a look takes, as a number.
fn number(bytes: &[u8], is_long: bool) -> Option<u64> {
    if is_long {
        bytes.first_chunk().copied().map(u64::from_le_bytes)
    } else {
        let short = bytes.first_chunk().copied().map(u32::from_le_bytes);
        short.map(u64::from)
    }
}

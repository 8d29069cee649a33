//! 2048 words that are easily told apart: BIP 39's English list, eleven bits a word.
//!
//! One text instead of an array of words, such as the bip39 crate has: that is 2048 pointers, which every start of the program would
//! relocate, for a list that few commands need.

/// The words, one a line, in the order of the alphabet.
const LIST: &str = include_str!("words.txt");

/// The list. A word's number is its place in it.
pub fn list() -> Vec<&'static str> {
    LIST.lines().collect()
}

#[cfg(test)]
mod tests {
    use sha2::Digest as _;
    use sha2::Sha256;

    use super::*;

    #[test]
    fn the_list_is_the_standards() {
        let words = list();
        assert_eq!(words.len(), 1 << 11);
        assert!(words.is_sorted());
        let digest: [u8; 32] = Sha256::digest(LIST).into();
        let expected = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda";
        assert_eq!(digest.map(|byte| format!("{byte:02x}")).concat(), expected);
    }
}

//! Large inputs of small recipes, to find what takes longer than the size of an input explains.

use std::sync::OnceLock;

use super::Target;

/// Between the three parts of a recipe.
const CUT: u8 = 0;

/// In the repeated part: the number of the repetition.
const NUMBER: u8 = 1;

/// Runs a target: on the input, or, with the environment variable `REVEILLE_FUZZ_GROW`, on what the input as a recipe grows
/// to with so many bytes.
///
/// # Panics
/// When something does not hold.
pub fn grown(target: Target, input: &[u8]) {
    static SIZE: OnceLock<Option<usize>> = OnceLock::new();
    let size = SIZE.get_or_init(|| {
        let size = std::env::var("REVEILLE_FUZZ_GROW");
        size.ok()
            .map(|size| size.parse().expect("REVEILLE_FUZZ_GROW is a number of bytes"))
    });
    match size {
        None => target(input),
        Some(size) => target(&grow(input, *size)),
    }
}

/// What a recipe grows to: its second part as often as it fits between the first and the third.
#[must_use]
pub(crate) fn grow(recipe: &[u8], size: usize) -> Vec<u8> {
    let mut parts = recipe.splitn(3, |byte| *byte == CUT);
    let mut next = || parts.next().unwrap_or_default();
    let (mut head, mut unit, mut tail) = (next(), next(), next());
    if unit.is_empty() {
        (head, unit, tail) = (b"", head, b"");
    }
    let mut grown = head.to_vec();
    let room = size.saturating_sub(tail.len());
    let mut number = 0_usize;
    while !unit.is_empty() && grown.len() < room {
        for byte in unit {
            match *byte {
                NUMBER => grown.extend_from_slice(number.to_string().as_bytes()),
                byte => grown.push(byte),
            }
        }
        number += 1;
    }
    grown.extend_from_slice(tail);
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_is_repeated_in_its_middle() {
        assert_eq!(grow(b"a\0b\x01\0c", 8), b"ab0b1b2c");
        assert_eq!(grow(b"ab\0x\0", 5), b"abxxx");
        assert_eq!(grow(b"ab", 5), b"ababab");
        assert_eq!(grow(b"", 5), b"");
        assert_eq!(grow(b"a\0\0b", 4), b"aaaa");
    }
}

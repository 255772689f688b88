//! What JSON text says, as one number.

use std::borrow::Cow;

use super::redact::plain_name;
use super::token::{Kind, Token, tokens};

/// FNV-1a: simple, and the same in every build.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A number that is the same for two texts that say the same: white space, the order of members and the spelling of
/// strings make no difference, nor do members that are `null` or left out, nor those that `is_left_out` names by their
/// [plain name](plain_name).
///
/// Each value counts by the names and positions that lead to it, so that nothing has to be sorted or kept.
pub(crate) fn fingerprint(json: &str, is_left_out: impl Fn(&str) -> bool) -> u64 {
    let mut places = Places::default();
    let mut sum = 0_u64;
    for token in tokens(json) {
        let Some(place) = places.read(token, &is_left_out) else {
            continue;
        };
        let text = match token.kind {
            _ if token.text == "null" => continue,
            Kind::String => token.to_text().unwrap_or(Cow::Borrowed(token.text)),
            _ => Cow::Borrowed(token.text),
        };
        let kind: &[u8] = if token.kind == Kind::String { b"s" } else { b"w" };
        sum = sum.wrapping_add(stirred(hash(hash(place, kind), text.as_bytes())));
    }
    sum
}

/// The way from the top of the text to the value that is read next.
#[derive(Default)]
struct Places(Vec<Level>);

struct Level {
    /// The way to the object or array; `None` in what is left out.
    way: Option<u64>,
    is_object: bool,
    name_is_next: bool,
    /// The way to the member or element that is being read.
    current: Option<u64>,
    position: u64,
}

impl Places {
    fn current(&self) -> Option<u64> {
        self.0.last().map_or(Some(OFFSET), |level| level.current)
    }

    /// Takes the next token in. The way to it, if it is a value that counts.
    fn read(&mut self, token: Token<'_>, is_left_out: impl Fn(&str) -> bool) -> Option<u64> {
        match token.kind {
            Kind::ObjectStart => self.open(true),
            Kind::ArrayStart => self.open(false),
            Kind::ObjectEnd | Kind::ArrayEnd => {
                self.0.pop();
            }
            Kind::Comma => self.step(),
            Kind::String => match self.0.last_mut().filter(|level| level.name_is_next) {
                Some(level) => {
                    level.name_is_next = false;
                    let name = token.to_text().unwrap_or(Cow::Borrowed(token.text));
                    level.current = level
                        .way
                        .filter(|_| !is_left_out(&plain_name(&name)))
                        .map(|way| hash(hash(way, b"/"), name.as_bytes()));
                }
                None => return self.current(),
            },
            Kind::Number | Kind::Word => return self.current(),
            Kind::Colon | Kind::Space | Kind::Foreign => {}
        }
        None
    }

    fn open(&mut self, is_object: bool) {
        let way = self.current();
        self.0.push(Level {
            way,
            is_object,
            name_is_next: is_object,
            current: way.map(|way| hash(way, b"[")),
            position: 0,
        });
    }

    fn step(&mut self) {
        let Some(level) = self.0.last_mut() else { return };
        level.name_is_next = level.is_object;
        level.position += 1;
        let position = level.position.to_le_bytes();
        level.current = level.way.map(|way| hash(hash(way, b"["), &position));
    }
}

fn hash(seed: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// Spreads a sum of hashes over all bits, so that two differences do not cancel each other out.
fn stirred(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> u64 {
        fingerprint(json, |name| name == "next")
    }

    #[test]
    fn spelling_makes_no_difference() {
        let one = of(r#"{"a":[1,{"b":"\u00e4/"}],"c":true}"#);
        for same in [
            r#" { "c" : true, "a" : [ 1 , { "b" : "ä\/" } ] } "#,
            r#"{"a":[1,{"b":"ä/","x":null}],"c":true,"d":null}"#,
            r#"{"a":[1,{"b":"ä/"}],"c":true,"Next":{"deep":[1,2]},"d":{}}"#,
        ] {
            assert_eq!(of(same), one, "{same}");
        }
    }

    #[test]
    fn a_value_a_name_or_a_place_does() {
        let all = [
            r#"{"a":[1,2]}"#,
            r#"{"a":[2,1]}"#,
            r#"{"a":[1,2,2]}"#,
            r#"{"a":["1",2]}"#,
            r#"{"b":[1,2]}"#,
            r#"{"a":{"b":[1,2]}}"#,
            r#"{"a":[[1,2]]}"#,
            r#"{"a":[[1],[2]]}"#,
            r#"{"ab":"c"}"#,
            r#"{"a":"bc"}"#,
            r#"{"a":"x","b":"y"}"#,
            r#"{"a":"y","b":"x"}"#,
        ];
        let distinct: std::collections::BTreeSet<u64> = all.iter().map(|json| of(json)).collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn any_text_has_one() {
        for text in ["", "]}", "{\"a\"", "[[[[", ",,,\"", &"[".repeat(500_000)] {
            assert_eq!(of(text), of(text));
        }
    }
}

//! Secrets in what others say, however they spell them.
//!
//! A receiver or an API may repeat what it was sent: as it is, as a URL, JSON, or a page has it, several of these around each
//! other, in Base64 or in hexadecimal digits, and cut off. What is said is therefore read letter by letter, each in any
//! spelling, and compared with the secrets.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use tallyfy_model::REDACTED;

/// A shorter text may be any word. So many letters from the beginning of a secret on are taken for it.
const SHORTEST: usize = 8;
/// The same where the text ends, and may have been cut off.
const SHORTEST_REST: usize = 4;
/// The name of an entity is not longer.
const LONGEST_NAME: usize = 8;

/// Texts that are not to be repeated.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<Vec<char>>);

impl Secrets {
    /// Of these, those that are long enough to be no word; each as it is, in Base64 and in hexadecimal digits.
    pub(crate) fn new(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut all = BTreeSet::new();
        for text in texts {
            let text = text.as_ref();
            if text.chars().count() >= SHORTEST {
                all.insert(text.to_owned());
                all.extend(in_base64(text));
                all.insert(text.bytes().map(|byte| format!("{byte:02x}")).collect());
            }
        }
        let mut all: Vec<Vec<char>> = all.iter().map(|text| text.chars().collect()).collect();
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(all)
    }

    /// The text without them.
    pub(crate) fn taken_out_of(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if let Some(mut end) = self.end_in(rest) {
                // Another one may begin where this one, of which there is only the beginning, seems to go on.
                let mut at = first.len_utf8();
                while let Some(letter) = rest.get(at..end).and_then(|rest| rest.chars().next()) {
                    let further = rest.get(at..).and_then(|rest| self.end_in(rest));
                    end = end.max(at + further.unwrap_or(0));
                    at += letter.len_utf8();
                }
                out.push_str(REDACTED);
                rest = rest.get(end..).unwrap_or_default();
            } else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        out
    }

    /// Where the longest of them ends that the text begins with.
    fn end_in(&self, text: &str) -> Option<usize> {
        let first = text.chars().next()?;
        // What is not spelled otherwise begins as the secret does: most of a text is passed over quickly.
        let is_spelled = ['%', '\\', '&'].contains(&first);
        let may_begin = |secret: &&Vec<char>| {
            let is_it = |letter: &char| first.eq_ignore_ascii_case(letter) || (*letter == ' ' && first == '+');
            is_spelled || secret.first().is_some_and(is_it)
        };
        let possible = self.0.iter().filter(may_begin);
        possible.filter_map(|secret| end_of(secret, text)).max()
    }
}

/// Where a secret ends that the text begins with, or as much of its beginning as is no accident.
fn end_of(secret: &[char], text: &str) -> Option<usize> {
    let mut ends = vec![0];
    for (known, letter) in secret.iter().enumerate() {
        let mut next = Vec::new();
        for &end in &ends {
            next.extend(spellings(*letter, text, end));
        }
        if next.is_empty() {
            let furthest = ends.into_iter().max()?;
            let is_at_the_end = known >= SHORTEST_REST && is_cut_spelling(&text[furthest..]);
            return (is_at_the_end.then_some(text.len())).or((known >= SHORTEST).then_some(furthest));
        }
        next.dedup();
        ends = next;
    }
    ends.into_iter().max()
}

/// Whether nothing is left, or no more than a spelling that was cut off.
fn is_cut_spelling(rest: &str) -> bool {
    rest.is_empty() || (rest.len() < 12 && rest.starts_with(['%', '\\', '&']) && !rest.contains(char::is_whitespace))
}

/// Where each spelling of this letter ends that is at this place.
fn spellings(letter: char, text: &str, at: usize) -> Vec<usize> {
    let readings = of_pages(text, at).into_iter();
    let is_it = |found: char| found.eq_ignore_ascii_case(&letter) || (letter == ' ' && found == '+');
    let mut ends: Vec<usize> = readings
        .filter(|(found, _)| is_it(*found))
        .map(|(_, end)| end)
        .collect();
    ends.extend(percent_encoded(letter, text, at));
    ends
}

/// As URLs have it, perhaps encoded several times: `%2F`, `%252F`; each sign of it in any spelling of pages.
fn percent_encoded(letter: char, text: &str, at: usize) -> Vec<usize> {
    let mut buffer = [0; 4];
    let mut ends = vec![at];
    for byte in letter.encode_utf8(&mut buffer).bytes() {
        ends = ends.iter().flat_map(|end| ends_of_byte(byte, text, *end)).collect();
    }
    ends
}

fn ends_of_byte(byte: u8, text: &str, at: usize) -> Vec<usize> {
    let mut ends = Vec::new();
    let signs = of_pages(text, at).into_iter().filter(|(sign, _)| *sign == '%');
    let mut digits_at: Vec<usize> = signs.map(|(_, end)| end).collect();
    while let Some(at) = digits_at.pop() {
        for (high, end) in of_pages(text, at) {
            for (low, end) in of_pages(text, end) {
                let (Some(high), Some(low)) = (high.to_digit(16), low.to_digit(16)) else {
                    continue;
                };
                if u8::try_from(high * 16 + low).is_ok_and(|code| code.eq_ignore_ascii_case(&byte)) {
                    ends.push(end);
                }
                // A percent sign that is encoded itself.
                if (high, low) == (2, 5) {
                    digits_at.push(end);
                }
            }
        }
    }
    ends
}

/// How a sign may be read that is at this place, each reading with its end: as it is, as JSON has it, or as pages have it:
/// `&amp;`, `&#38;`, `&#x26;`, `&amp;amp;`.
fn of_pages(text: &str, at: usize) -> Vec<(char, usize)> {
    let mut readings = of_json(text, at);
    let ampersand = readings.iter().find(|(sign, _)| *sign == '&').map(|(_, end)| *end);
    let mut name_at = ampersand;
    while let Some((name, end)) = name_at.and_then(|at| entity_name(text, at)) {
        let Some(sign) = named(&name) else {
            break;
        };
        readings.push((sign, end));
        // An ampersand that is written so begins another one.
        name_at = (sign == '&').then_some(end);
    }
    readings
}

/// What stands between an ampersand and a semicolon.
fn entity_name(text: &str, mut at: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    while name.len() <= LONGEST_NAME {
        let (sign, end) = *of_json(text, at).last()?;
        at = end;
        match sign {
            ';' => return Some((name, at)),
            _ if sign.is_ascii_alphanumeric() || sign == '#' => name.push(sign),
            _ => return None,
        }
    }
    None
}

fn named(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let code = name.strip_prefix('#')?;
            let (digits, radix) = match code.strip_prefix(['x', 'X']) {
                Some(digits) => (digits, 16),
                None => (code, 10),
            };
            u32::from_str_radix(digits, radix).ok().and_then(char::from_u32)
        }
    }
}

/// The same as it is, or as JSON and many languages have it, perhaps within another text: `\/`, `\\\"`, `\u0026`, `\x26`,
/// `\u{26}`.
fn of_json(text: &str, at: usize) -> Vec<(char, usize)> {
    let rest = text.get(at..).unwrap_or_default();
    let Some(first) = rest.chars().next() else {
        return Vec::new();
    };
    if first != '\\' {
        return vec![(first, at + first.len_utf8())];
    }
    let behind = rest.trim_start_matches('\\');
    let after = at + rest.len() - behind.len();
    let by_number = match behind.as_bytes() {
        [b'u', b'{', ..] => behind[2..]
            .split_once('}')
            .map(|(digits, _)| (digits, digits.len() + 3)),
        [b'u', ..] => behind.get(1..5).map(|digits| (digits, 5)),
        [b'x', ..] => behind.get(1..3).map(|digits| (digits, 3)),
        _ => None,
    };
    let sign = by_number.and_then(|(digits, length)| {
        let sign = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
        Some((sign, after + length))
    });
    let itself = behind.chars().next().filter(|sign| !sign.is_alphanumeric());
    let itself = itself.map(|sign| (sign, after + sign.len_utf8()));
    std::iter::once(('\\', after)).chain(sign).chain(itself).collect()
}

/// The text in Base64, wherever it begins among the three places of a group: without the letters that its neighbours have
/// a part in.
fn in_base64(text: &str) -> impl Iterator<Item = String> {
    let forms = (0..3).flat_map(|before: usize| {
        let bytes = [&b"\0\0"[..before], text.as_bytes()].concat();
        let from = (before * 8).div_ceil(6);
        let to = bytes.len() * 8 / 6;
        [STANDARD.encode(&bytes), URL_SAFE.encode(&bytes)].map(|form| form[from..to].to_owned())
    });
    forms.collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn percent(text: &str) -> String {
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
    }

    fn json(text: &str) -> String {
        let quoted = serde_json::to_string(text).unwrap();
        quoted[1..quoted.len() - 1].to_owned()
    }

    fn by_number(text: &str, write: fn(u32) -> String) -> String {
        text.chars().map(|letter| write(letter.into())).collect()
    }

    /// As others may write a secret.
    fn written(secret: &str) -> Vec<String> {
        vec![
            secret.to_owned(),
            secret.to_ascii_uppercase(),
            secret.replace(' ', "+"),
            percent(secret),
            percent(secret).to_lowercase(),
            percent(&percent(secret)),
            json(secret),
            json(secret).replace('/', "\\/"),
            json(&json(secret)),
            by_number(secret, |code| format!("\\u{code:04x}")),
            by_number(secret, |code| format!("\\u{{{code:x}}}")),
            by_number(secret, |code| format!("&#{code};")),
            by_number(secret, |code| format!("&#x{code:X};")),
            secret.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;"),
            secret.replace('&', "&amp;amp;"),
            STANDARD.encode(secret),
            URL_SAFE.encode(format!("a:{secret}")),
            STANDARD.encode(format!("it:{secret}!")),
            secret.bytes().map(|byte| format!("{byte:02X}")).collect(),
            by_number(&percent(secret), |code| format!("\\u{code:04x}")),
            by_number(&percent(secret), |code| format!("&#{code};")),
            by_number(secret, |code| format!("&#x{code:x};")).replace('&', "\\u0026"),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn no_spelling_of_a_secret_is_left(secret in "[a-zA-Z0-9/+&<\"%_. é=-]{8,40}") {
            let secrets = Secrets::new([&secret]);
            for form in written(&secret) {
                let shown = secrets.taken_out_of(&format!("you sent <{form}> to us"));
                prop_assert!(shown.contains(REDACTED), "{form} in {shown}");
                prop_assert!(shown.starts_with("you sent <") && shown.ends_with("> to us"), "{shown}");
            }
        }

        #[test]
        fn the_beginning_of_a_secret_that_was_cut_off_is_not_left(secret in "[A-Z0-9]{12,24}") {
            let secrets = Secrets::new([&secret]);
            for form in written(&secret) {
                let each = form.len().div_ceil(secret.len());
                for length in SHORTEST_REST * each..=form.len() {
                    let shown = secrets.taken_out_of(&format!("~: {}", &form[..length]));
                    let rest = shown.strip_prefix("~: [redacted]");
                    // In Base64, neighbours have a part in the letters at either end.
                    let is_all = rest.is_some_and(|rest| rest.len() <= 3) || form.ends_with('=');
                    prop_assert!(is_all || shown.contains(REDACTED) && !secret.contains(&form[..4]), "{form} at {length}: {shown}");
                }
            }
        }
    }

    #[test]
    fn many_that_were_cut_off_one_after_another_leave_no_part() {
        let secret = "kezfnokvetfn~kxclafwxyuud";
        let secrets = Secrets::new([secret, &format!("hooks/{secret}"), &format!("Bearer {secret}")]);
        for form in written(secret) {
            let each = form.len().div_ceil(secret.len());
            let lines: Vec<&str> = (1..=form.len()).step_by(3).map(|length| &form[..length]).collect();
            let shown = secrets.taken_out_of(&lines.join("\n")) + &secrets.taken_out_of(&lines.concat());
            for start in 0..=secret.len() - SHORTEST {
                let part = form.get(start * each..(start + SHORTEST) * each).unwrap_or("-");
                let line = shown.lines().find(|line| line.contains(part));
                assert_eq!(line, None, "{part} of {form}");
            }
        }
    }

    #[test]
    fn other_text_stays() {
        let secrets = Secrets::new(["s3cret-key-of-the-receiver", "short"]);
        for text in [
            "no such customer: x=1, short of s3c%20ret",
            "",
            "%",
            "\\u00",
            "&amp;&#1;",
            "é%C3",
        ] {
            assert_eq!(secrets.taken_out_of(text), text);
        }
        assert_eq!(secrets.taken_out_of("a s3cret-key-of-the b"), "a [redacted] b");
        assert_eq!(secrets.taken_out_of("a s3cret"), "a [redacted]");
    }
}

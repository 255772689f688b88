//! What a string says.

use std::borrow::Cow;

use super::mend;
use super::token::{Kind, Token};

impl<'a> Token<'a> {
    /// What a string says, its escapes read; half a surrogate pair is U+FFFD. `None` if it is no string, or no JSON.
    pub fn to_text(self) -> Option<Cow<'a, str>> {
        if self.kind != Kind::String {
            return None;
        }
        let inside = self.text.strip_prefix('"')?.strip_suffix('"')?;
        let is_plain = inside.bytes().all(|byte| byte != b'\\' && byte >= b' ');
        if is_plain {
            return Some(Cow::Borrowed(inside));
        }
        mend::from_str(self.text).ok().map(Cow::Owned)
    }
}

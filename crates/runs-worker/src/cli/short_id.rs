//! Ids of events and notifications, of which a person may type the beginning.

use std::fmt;
use std::str::FromStr;

use runs_store::{IdsOf, Store};
use uuid::Uuid;

use super::with_store::{Trouble, misused};

/// How many digits an id has.
const DIGITS: usize = 32;
/// How many candidates are named when a beginning is that of several ids.
const NAMED: usize = 3;

/// An id, or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShortId {
    typed: String,
    first: Uuid,
    last: Uuid,
}

impl FromStr for ShortId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String = text.chars().filter(|character| *character != '-').collect();
        let filled = |with: &str| {
            let rest = with.repeat(DIGITS.saturating_sub(digits.len()));
            Uuid::try_parse(&format!("{digits}{rest}"))
                .map_err(|_| "an id has hexadecimal digits, 32 at most".to_owned())
        };
        if digits.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(Self {
            typed: text.to_owned(),
            first: filled("0")?,
            last: filled("f")?,
        })
    }
}

impl fmt::Display for ShortId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.typed)
    }
}

impl ShortId {
    /// The only id that begins like this.
    pub(super) async fn find(&self, store: &dyn Store, of: IdsOf) -> Result<Uuid, Trouble> {
        let found = store.ids_between(of, self.first, self.last, NAMED + 1).await?;
        let (one, several) = match of {
            IdsOf::Events => ("event", "events"),
            _ => ("notification", "notifications"),
        };
        match found.as_slice() {
            [id] => Ok(*id),
            [] => Err(Trouble::NotFound(format!("no {one} has an id that begins with {self}"))),
            all => {
                let mut named: Vec<String> = all.iter().take(NAMED).map(ToString::to_string).collect();
                named.extend((all.len() > NAMED).then(|| "…".to_owned()));
                Err(misused(format!(
                    "the ids of several {several} begin with {self}: {}",
                    named.join(", ")
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_stands_for_all_ids_that_begin_so() {
        let short: ShortId = "01a209de-a".parse().unwrap();
        assert_eq!(short.first.to_string(), "01a209de-a000-0000-0000-000000000000");
        assert_eq!(short.last.to_string(), "01a209de-afff-ffff-ffff-ffffffffffff");
        let whole: ShortId = "01a209de-aa2e-7119-b487-c3aff6d66c28".parse().unwrap();
        assert_eq!(whole.first, whole.last);
        for text in ["", "-", "01g", "01a209de-aa2e-7119-b487-c3aff6d66c280"] {
            assert!(text.parse::<ShortId>().is_err(), "{text}");
        }
    }
}

//! What a configuration that was read again has that the one before had not: told by digests, so that no secret is kept for it.

use std::collections::{BTreeMap, BTreeSet};

use config::Value;
use serde::Deserialize as _;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

/// What of an organization can be replaced while it is worked for.
const OF_ORGANIZATIONS: [&str; 9] = [
    "token",
    "token_file",
    "client_id",
    "client_secret",
    "client_secret_file",
    "auth_url",
    "act_as",
    "webhook_secrets",
    "webhook_secrets_file",
];

/// A digest of the value of each key of the sections, of all handlers, and of all organizations but for their secrets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sections(BTreeMap<String, [u8; 32]>);

impl Sections {
    pub(super) fn of(values: &Value) -> Self {
        let Ok(Json::Object(mut sections)) = Json::deserialize(values.clone()) else {
            return Self::default();
        };
        if let Some(Json::Array(organizations)) = sections.get_mut("organizations") {
            for organization in organizations.iter_mut().filter_map(Json::as_object_mut) {
                organization.retain(|key, _| !OF_ORGANIZATIONS.contains(&key.as_str()));
            }
        }
        let mut digests = BTreeMap::new();
        for (section, value) in sections {
            match value {
                Json::Object(keys) => {
                    for (key, value) in keys {
                        digests.insert(format!("{section}.{key}"), digest(&key, value));
                    }
                }
                list => {
                    digests.insert(section.clone(), digest(&section, list));
                }
            }
        }
        Self(digests)
    }

    /// The keys whose values are not the same.
    #[cfg_attr(
        not(feature = "cli"),
        expect(dead_code, reason = "only the command line reads it again")
    )]
    pub(crate) fn different(&self, other: &Self) -> BTreeSet<String> {
        let keys = self.0.keys().chain(other.0.keys());
        keys.filter(|key| self.0.get(*key) != other.0.get(*key))
            .cloned()
            .collect()
    }
}

fn digest(key: &str, mut value: Json) -> [u8; 32] {
    with_contents(key, &mut value);
    Sha256::digest(value.to_string()).into()
}

/// A file with a key may hold another one under the same name.
fn with_contents(key: &str, value: &mut Json) {
    match value {
        Json::String(path) if key.ends_with("_file") => {
            let content = std::fs::read(&*path).unwrap_or_default();
            path.push_str(&format!(" {:x?}", Sha256::digest(content)));
        }
        Json::Array(list) => list.iter_mut().for_each(|value| with_contents(key, value)),
        Json::Object(keys) => keys.iter_mut().for_each(|(key, value)| with_contents(key, value)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Flags, load};

    fn sections(text: &str) -> Sections {
        let flags = Flags::of_text(text);
        load(&flags, &BTreeMap::new(), true).unwrap().sections
    }

    #[test]
    fn what_differs_is_named_and_secrets_that_can_be_replaced_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let write = |key: &str| std::fs::write(&keys, key).unwrap();
        write("whsec_c2VjcmV0LXNpZ25pbmcta2V5LTAxMjM0NTY3ODk=");
        let text = |token: &str, limit: u32, filter: &str| {
            format!(
                "receive.max_body_bytes = {limit}\n[[organizations]]\nid = \"acme\"\ntoken = \"{token}\"\n\
                 webhook_secrets = [\"{token}\"]\n[[handlers]]\nname = \"a\"\ntype = \"http\"\n\
                 url = \"https://example.com/\"\nsigning_keys_file = \"{}\"\n[handlers.filter]\nevents = [\"{filter}\"]\n",
                keys.display()
            )
        };
        let before = sections(&text("one", 1000, "seen"));
        let different = |text: &str| {
            let other = sections(text);
            before.different(&other).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(different(&text("two", 1000, "seen")), [""; 0]);
        assert_eq!(different(&text("one", 1001, "seen")), ["receive.max_body_bytes"]);
        assert_eq!(different(&text("one", 1000, "gone")), ["handlers"]);
        let more =
            text("one", 1000, "seen") + "[[organizations]]\nid = \"b\"\ntoken = \"t\"\nwebhook_secrets = [\"s\"]\n";
        assert_eq!(different(&more), ["organizations"]);
        write("whsec_YW5vdGhlci1zaWduaW5nLWtleS0wMTIzNDU2Nzg5MDA=");
        assert_eq!(different(&text("one", 1000, "seen")), ["handlers"]);
    }
}

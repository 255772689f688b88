//! Every key with its default: as the file that a person begins with, and as what stands where nothing is set.

/// A file with every key as a comment.
pub(crate) const EXAMPLE: &str = include_str!("example.toml");

/// The one key whose default is not a value that a file could have.
pub(super) const DATA_DIR: &str = "store.data_dir";

/// What begins the comment line that names the other ways to set a key.
const ALSO: &str = "Also set by: ";

/// A key of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Its name, with that of its section.
    pub(super) name: String,
    /// Its default, as the file has it.
    pub(super) default: &'static str,
    /// What it is.
    pub(super) what: String,
    /// How else it is set.
    pub(super) also: &'static str,
}

/// The keys of all sections, in the order of the file; organizations and handlers are no sections.
pub(super) fn keys() -> Vec<Key> {
    let mut keys = Vec::new();
    let mut section = "";
    let (mut what, mut also) = (Vec::new(), "");
    for line in EXAMPLE.lines().take_while(|line| !line.starts_with("# [[")) {
        let comment = line.strip_prefix("# ").unwrap_or_default();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some(ways) = comment.strip_prefix(ALSO) {
            also = ways;
            continue;
        } else if let Some((name, default)) = assignment(comment) {
            keys.push(Key {
                name: format!("{section}.{name}"),
                default,
                what: what.join(" "),
                also,
            });
        } else if !comment.is_empty() {
            what.push(comment);
            continue;
        }
        (what, also) = (Vec::new(), "");
    }
    keys
}

/// The key and the value of a line that sets one.
pub(super) fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(" = ")?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_name.then_some((name, value))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt::Write as _;

    use serde::Deserialize;
    use serde::de::value::Error;
    use serde::de::{Deserializer, Visitor};

    use super::*;
    use crate::config::filter::FilterTable;
    use crate::config::handlers::HandlerTable;
    use crate::config::nats::NatsTable;
    use crate::config::organization::OrganizationTable;
    use crate::config::tables::Tables;
    use crate::config::{
        AdminConfig, ApiConfig, Config, DeliverConfig, EventsConfig, Flags, IntakeConfig, Loaded, LogConfig,
        ReceiveConfig, ReconcileConfig, RefreshConfig, RetentionConfig, StoreConfig, load,
    };

    /// The names of a struct's fields, which is all that this deserializer learns.
    struct Fields<'a>(&'a mut Vec<&'static str>);

    impl<'de> Deserializer<'de> for Fields<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(serde::de::Error::custom("no struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Error> {
            self.0.extend(fields);
            self.deserialize_any(visitor)
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    fn fields<T: for<'de> Deserialize<'de>>() -> Vec<&'static str> {
        let mut fields = Vec::new();
        drop(T::deserialize(Fields(&mut fields)));
        fields
    }

    /// The example with what is commented in it, up to where the organizations begin.
    fn with_its_values() -> String {
        let sections = EXAMPLE.lines().take_while(|line| !line.starts_with("# [["));
        let told = sections.map(|line| match line.strip_prefix("# ") {
            Some(comment) if assignment(comment).is_some() && !comment.starts_with("data_dir") => comment,
            _ => line,
        });
        told.collect::<Vec<_>>().join("\n")
    }

    fn loaded(text: &str) -> Loaded {
        let organization = "\n[[organizations]]\nid = \"acme\"\ntoken = \"t\"\nwebhook_secrets = [\"s\"]\n";
        load(&Flags::of_text(format!("{text}{organization}")), &BTreeMap::new(), true).unwrap()
    }

    #[test]
    fn the_values_of_the_example_are_the_defaults() {
        assert_eq!(
            format!("{:#?}", loaded(&with_its_values()).config),
            format!("{:#?}", Config::default())
        );
        assert_eq!(
            format!("{:?}", loaded(EXAMPLE).config),
            format!("{:?}", Config::default())
        );
    }

    /// The keys of each section that is read.
    fn sections() -> BTreeSet<String> {
        let of = [
            ("store", fields::<StoreConfig>()),
            ("intake", fields::<IntakeConfig>()),
            ("receive", fields::<ReceiveConfig>()),
            ("admin", fields::<AdminConfig>()),
            ("api", fields::<ApiConfig>()),
            ("refresh", fields::<RefreshConfig>()),
            ("reconcile", fields::<ReconcileConfig>()),
            ("deliver", fields::<DeliverConfig>()),
            ("events", fields::<EventsConfig>()),
            ("retention", fields::<RetentionConfig>()),
            ("log", fields::<LogConfig>()),
        ];
        let mut names: Vec<&str> = of.iter().map(|(section, _)| *section).collect();
        names.extend(["handlers", "organizations"]);
        assert_eq!(fields::<Tables>(), names, "a section is missing here");
        let full = |(section, fields): (&str, Vec<&str>)| {
            let section = section.to_owned();
            fields
                .into_iter()
                .map(move |field| format!("{section}.{field}"))
                .collect::<Vec<_>>()
        };
        of.into_iter().flat_map(full).collect()
    }

    #[test]
    fn every_key_that_is_read_is_in_the_example_and_no_other() {
        let in_example: BTreeSet<String> = keys().into_iter().map(|key| key.name).collect();
        assert_eq!(in_example, sections());
        let (_, rest) = EXAMPLE.split_once("# [[organizations]]").unwrap();
        let (organizations, rest) = rest.split_once("# [[handlers]]").unwrap();
        let (handlers, rest) = rest.split_once("# [handlers.filter]").unwrap();
        let (filter, nats) = rest.split_once("# [handlers.nats]").unwrap();
        for (text, mut names) in [
            (organizations, fields::<OrganizationTable>()),
            (handlers, fields::<HandlerTable>()),
            (filter, fields::<FilterTable>()),
            #[cfg(feature = "nats")]
            (nats, fields::<NatsTable>()),
        ] {
            let commented = text
                .lines()
                .filter_map(|line| Some(assignment(line.strip_prefix("# ")?)?.0));
            let commented: BTreeSet<&str> = commented.collect();
            names.retain(|name| !["filter", "nats"].contains(name));
            assert_eq!(commented, names.into_iter().collect());
        }
    }

    #[test]
    fn the_page_on_the_configuration_has_every_key() {
        let mut tables = String::new();
        let mut section = "";
        let keys = keys();
        for key in &keys {
            let (of, _) = key.name.split_once('.').unwrap();
            if of != section {
                section = of;
                write!(
                    tables,
                    "\n| key | default | what it is | also set by |\n|---|---|---|---|\n"
                )
                .unwrap();
            }
            let default = if key.name == DATA_DIR {
                String::new()
            } else {
                format!("`{}`", key.default)
            };
            let also = if key.also.is_empty() {
                String::new()
            } else {
                format!("`{}`", key.also.replace(", ", "`, `"))
            };
            writeln!(
                tables,
                "| `{}` | {default} | {} | {also} |",
                key.name,
                key.what.trim_end_matches('.')
            )
            .unwrap();
        }
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
        let text = std::fs::read_to_string(&page).unwrap();
        let (before, rest) = text.split_once("<!-- keys -->\n").unwrap();
        let (_, after) = rest.split_once("\n<!-- end of keys -->").unwrap();
        let made = format!("{before}<!-- keys -->\n{tables}\n<!-- end of keys -->{after}");
        if std::env::var_os("INSTA_UPDATE").is_some_and(|update| update == "always") {
            std::fs::write(&page, &made).unwrap();
        }
        assert!(
            text == made,
            "docs/configuration.md has other keys; INSTA_UPDATE=always writes it anew"
        );
    }
}

//! Lists whose elements have ids: their order says nothing.

use std::collections::{BTreeMap, BTreeSet};

use tallyfy_model::ApiTime;

use super::change::FieldChange;
use super::fields;
use super::json::{Json, Members};

/// Which ids the elements of a list have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    Task,
    /// The id of an association is not that of the tag (API reference, section c.3).
    Tag,
    /// One field may be in the forms of several tasks.
    FormField,
}

impl Ids {
    fn of(self, members: &Members<'_>) -> Option<String> {
        match self {
            Self::Task => Json::id_under(members, &["id"]),
            Self::Tag => Json::id_under(members, &["tag_id", "id"]),
            Self::FormField => {
                let field = Json::id_under(members, &["id", "timeline_id"])?;
                let task = Json::id_under(members, &["task_id"]);
                Some(task.map_or_else(|| field.clone(), |task| format!("{field} of {task}")))
            }
        }
    }
}

/// The elements of a list by id, those left out whose text is in the other list as well.
pub(super) struct Keyed<'a> {
    pub(super) by_id: BTreeMap<String, Element<'a>>,
    /// What has no id, or, unless it is a task, one that another element has as well.
    without: Vec<(usize, Json<'a>)>,
}

/// An element of a list.
pub(super) struct Element<'a> {
    pub(super) position: usize,
    pub(super) json: Json<'a>,
    /// Its members; none if it is nothing but an id.
    pub(super) members: Members<'a>,
}

impl<'a> Keyed<'a> {
    fn new(elements: &[Json<'a>], left_out: &BTreeSet<&str>, ids: Ids) -> Self {
        let mut keyed = Self {
            by_id: BTreeMap::new(),
            without: Vec::new(),
        };
        for (position, json) in elements.iter().copied().enumerate() {
            if left_out.contains(json.text()) {
                continue;
            }
            let element = Element::new(position, json);
            let id = if element.members.is_empty() {
                json.as_id()
            } else {
                ids.of(&element.members)
            };
            match id {
                Some(id) if ids == Ids::Task => keyed.insert(id, element),
                Some(id) => keyed
                    .without
                    .extend(keyed.by_id.insert(id, element).map(Element::place)),
                None => keyed.without.push(element.place()),
            }
        }
        keyed
    }

    fn insert_listed(&mut self, id: &str, elements: &[Json<'a>], text: &str) {
        let listed = elements.iter().enumerate().rfind(|(_, json)| json.text() == text);
        if let Some((position, json)) = listed {
            self.insert(id.to_owned(), Element::new(position, *json));
        }
    }

    /// Of two elements with one id, the newer counts, by `last_updated`, or else the later in the list.
    fn insert(&mut self, id: String, element: Element<'a>) {
        let stays = self.by_id.get(&id).is_some_and(|known| {
            element.is_older_than(known) || (!known.is_older_than(&element) && element.position < known.position)
        });
        if !stays {
            self.by_id.insert(id, element);
        }
    }
}

impl<'a> Element<'a> {
    fn new(position: usize, json: Json<'a>) -> Self {
        Self {
            position,
            json,
            members: json.members(),
        }
    }

    fn place(self) -> (usize, Json<'a>) {
        (self.position, self.json)
    }

    fn is_older_than(&self, other: &Element<'_>) -> bool {
        let updated = |element: &Element<'_>| element.members.get("last_updated")?.as_id().map(ApiTime::new);
        updated(self)
            .zip(updated(other))
            .is_some_and(|(this, that)| this.is_before(&that))
    }
}

/// Two lists, taken apart to be compared.
pub(super) struct Pair<'a, 'b> {
    pub(super) old: Keyed<'a>,
    pub(super) new: Keyed<'b>,
    /// What both have, to the letter.
    pub(super) in_both: BTreeSet<&'a str>,
}

impl<'a, 'b> Pair<'a, 'b> {
    /// What is listed twice in a view may have one of its listings in both, to the letter. That one takes part too.
    fn settle_doubles(&mut self, ids: Ids, old: &[Json<'a>], new: &[Json<'b>]) {
        let all: BTreeSet<String> = self.old.by_id.keys().chain(self.new.by_id.keys()).cloned().collect();
        for id in all {
            let is_it =
                |text: &&&str| text.contains(id.as_str()) && ids.of(&Json::new(text).members()).as_ref() == Some(&id);
            if let Some(double) = self.in_both.iter().find(is_it) {
                self.old.insert_listed(&id, old, double);
                self.new.insert_listed(&id, new, double);
            }
        }
    }
}

/// Two lists, to be compared by the ids of their elements; an element that is nothing but an id counts as well. Adds what is different in what has no id; where one of the two is no list, that is
/// all that can be said.
pub(super) fn pair<'a, 'b>(
    key: &str,
    ids: Ids,
    old: Json<'a>,
    new: Json<'b>,
    found: &mut Vec<FieldChange>,
) -> Option<Pair<'a, 'b>> {
    let (Some(old_elements), Some(new_elements)) = (elements(old), elements(new)) else {
        fields::compare("", key, Some(old), Some(new), found);
        return None;
    };
    Some(pair_elements(key, ids, &old_elements, &new_elements, found))
}

/// The same where both are known to be lists.
pub(super) fn pair_elements<'a, 'b>(
    key: &str,
    ids: Ids,
    old_elements: &[Json<'a>],
    new_elements: &[Json<'b>],
    found: &mut Vec<FieldChange>,
) -> Pair<'a, 'b> {
    // Most of a long list is the same text as before. That is found out without taking it apart.
    let texts: BTreeSet<&str> = new_elements.iter().map(|element| element.text()).collect();
    let in_both: BTreeSet<&'a str> = old_elements
        .iter()
        .map(|element| element.text())
        .filter(|text| texts.contains(text))
        .collect();
    let mut pair = Pair {
        old: Keyed::new(old_elements, &in_both, ids),
        new: Keyed::new(new_elements, &in_both, ids),
        in_both,
    };
    if ids == Ids::Task {
        pair.settle_doubles(ids, old_elements, new_elements);
    }
    let pointer = fields::below("", key);
    let (old, new) = (&pair.old.without, &pair.new.without);
    for index in 0..old.len().max(new.len()) {
        let (a, b) = (old.get(index), new.get(index));
        if let Some((position, _)) = b.or(a) {
            let position = position.to_string();
            fields::compare(
                &pointer,
                &position,
                a.map(|(_, json)| *json),
                b.map(|(_, json)| *json),
                found,
            );
        }
    }
    pair
}

fn elements(list: Json<'_>) -> Option<Vec<Json<'_>>> {
    list.elements().or_else(|| list.is_no_value().then(Vec::new))
}

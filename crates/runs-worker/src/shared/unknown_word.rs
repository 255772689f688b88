//! How a misspelled word is told.

/// Says that a word is none of those that there are, and which of them it is like.
pub(crate) fn unknown_word(what: &str, word: &str, known: &[&str]) -> String {
    // In a short word, two letters that changed places leave little that is alike.
    let slip = known.iter().find(|known| strsim::osa_distance(word, known) == 1);
    let alike = || {
        let likeness = known.iter().map(|known| (strsim::jaro_winkler(word, known), known));
        let closest = likeness.max_by(|(a, _), (b, _)| a.total_cmp(b));
        closest.filter(|(likeness, _)| *likeness > 0.7).map(|(_, known)| known)
    };
    match slip.or_else(alike) {
        Some(closest) => format!("there is no {what} `{word}`; did you mean `{closest}`?"),
        None => {
            let known: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
            format!("there is no {what} `{word}`; expected {}", known.join(", "))
        }
    }
}

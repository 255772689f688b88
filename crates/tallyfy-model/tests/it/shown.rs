//! Prints a decoded value for a snapshot: what fits goes on one line.

use std::fmt::Debug;

use tallyfy_model::Run;

const MAX_WIDTH: usize = 110;

pub(crate) fn run(json: &str) -> String {
    let run = Run::from_json(json).unwrap();
    let mut text = compact(&*run);
    for surprise in run.surprises() {
        text.push_str(&format!("\nsurprise at {}: {}", surprise.pointer, surprise.json));
    }
    text
}

/// One member a line.
pub(crate) fn compact(value: &impl Debug) -> String {
    let pretty = format!("{value:#?}");
    let mut lines = pretty.lines().skip(1).map(str::trim);
    let (members, _) = group(&mut lines);
    members.join("\n")
}

/// Reads lines of the pretty debug form up to the end of a group, which comes last.
fn group<'a>(lines: &mut impl Iterator<Item = &'a str>) -> (Vec<String>, &'a str) {
    let mut members = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with([')', '}', ']']) {
            return (members, line.trim_end_matches(','));
        }
        if line.ends_with(['(', '{', '[']) {
            let (inner, close) = group(lines);
            members.push(joined(line, &inner, close));
        } else {
            members.push(line.trim_end_matches(',').to_owned());
        }
    }
    (members, "")
}

fn joined(open: &str, inner: &[String], close: &str) -> String {
    if let Some(name) = ["Value(", "Item(", "List(", "Map("]
        .iter()
        .find_map(|of| open.strip_suffix(of))
    {
        return format!("{name}{}", inner.concat());
    }
    let one_line = format!("{open}{}{close}", inner.join(", "));
    if one_line.len() <= MAX_WIDTH && !one_line.contains('\n') {
        return one_line;
    }
    let inner = inner.join("\n").replace('\n', "\n  ");
    format!("{open}\n  {inner}\n{close}")
}

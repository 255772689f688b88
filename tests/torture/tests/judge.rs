//! The judge, on histories written by hand: what is as promised passes, and each way of breaking a promise is found.

use std::collections::BTreeSet;

use bytes::Bytes;
use torture::history::{Announcement, Arrival, Done, History, Issued, Shown, Told, Undone};
use torture::judge::{Violation, judge};

fn told(event: &str) -> Told {
    Told {
        kind: "process".to_owned(),
        event: event.to_owned(),
        task: None,
    }
}

fn announced(version: u64) -> Announcement {
    Announcement {
        run: "r1".to_owned(),
        told: told(&format!("change {version}")),
        version,
        is_acknowledged: true,
        is_binding: true,
    }
}

/// An event of this number that shows this version and tells of it.
fn came(sequence: u64, version: u64) -> Arrival {
    Arrival {
        run: "r1".to_owned(),
        sequence,
        id: format!("e{sequence}"),
        body: Bytes::from(format!("event {sequence}")),
        shown: Shown::State(version),
        done: None,
        is_reactivation: false,
        is_stale: false,
        told: BTreeSet::from([told(&format!("change {version}"))]),
        is_accepted: true,
    }
}

fn history(announcements: &[Announcement], arrivals: &[Arrival]) -> History {
    let issued = Issued {
        last: 3,
        ..Issued::default()
    };
    History {
        runs: [("r1".to_owned(), issued)].into(),
        announcements: announcements.to_vec(),
        arrivals: [("crm".to_owned(), arrivals.to_vec())].into(),
        without_sweeps: false,
    }
}

fn contradictions(arrivals: &[Arrival]) -> Vec<Violation> {
    judge(&history(&[], arrivals)).contradictions
}

fn owed(announcements: &[Announcement], arrivals: &[Arrival]) -> Vec<String> {
    let owed = judge(&history(announcements, arrivals)).owed;
    owed.iter().map(ToString::to_string).collect()
}

#[test]
fn a_history_as_promised_passes() {
    let refused = Arrival {
        is_accepted: false,
        ..came(2, 2)
    };
    let arrivals = [came(1, 1), came(1, 1), refused, came(2, 2), came(3, 3)];
    let verdict = judge(&history(&[announced(1), announced(2), announced(3)], &arrivals));
    assert_eq!((verdict.contradictions, verdict.owed), (vec![], vec![]));
    assert_eq!((verdict.events, verdict.duplicates), (3, 2));
}

#[test]
fn one_event_may_tell_of_several_webhooks_and_show_what_is_newer() {
    let both = Arrival {
        told: BTreeSet::from([told("change 1"), told("change 2")]),
        ..came(1, 3)
    };
    assert_eq!(owed(&[announced(1), announced(2)], &[both]), [""; 0]);
}

#[test]
fn what_was_acknowledged_and_never_came_is_a_loss() {
    let owed = owed(&[announced(1), announced(2)], &[came(1, 1)]);
    assert_eq!(owed.len(), 3, "{owed:?}");
    assert!(
        owed[0].contains("tells of the process webhook `change 2` of run r1, version 2"),
        "{owed:?}"
    );
}

#[test]
fn what_was_not_acknowledged_is_owed_to_nobody() {
    let refused = Announcement {
        is_acknowledged: false,
        ..announced(2)
    };
    assert_eq!(owed(&[announced(1), refused], &[came(1, 1)]), [""; 0]);
}

#[test]
fn an_event_that_its_handler_refused_fulfils_nothing() {
    let refused = Arrival {
        is_accepted: false,
        ..came(1, 1)
    };
    assert_eq!(owed(&[announced(1)], &[refused]).len(), 2);
}

#[test]
fn a_state_that_is_older_than_announced_fulfils_nothing_even_if_the_event_tells_of_the_webhook() {
    let old = Arrival {
        told: BTreeSet::from([told("change 2")]),
        ..came(1, 1)
    };
    let owed_for = |is_binding| {
        let announcement = Announcement {
            is_binding,
            ..announced(2)
        };
        owed(&[announcement], std::slice::from_ref(&old))
    };
    assert_eq!(owed_for(true).len(), 2);
    assert_eq!(owed_for(false), [""; 0]);
}

#[test]
fn the_last_state_has_to_be_the_last_one_that_came() {
    let stale = Arrival {
        is_stale: true,
        ..came(2, 1)
    };
    let owed = owed(&[announced(2)], &[came(1, 2), stale]);
    assert_eq!(
        owed,
        ["lost: the last event of run r1 for `crm` shows version 1, announced was 2"]
    );
}

#[test]
fn each_handler_is_owed_everything() {
    let mut history = history(&[announced(1)], &[came(1, 1)]);
    history.arrivals.insert("billing".to_owned(), Vec::new());
    let owed = judge(&history).owed;
    assert!(
        matches!(&owed[..], [Violation::Untold { handler, .. }, Violation::Lost { .. }] if handler == "billing"),
        "{owed:?}"
    );
}

#[test]
fn a_run_that_was_deleted_may_be_told_of_as_gone_and_no_other_may() {
    let gone = Arrival {
        shown: Shown::Nothing,
        ..came(1, 1)
    };
    let mut history = history(&[announced(1)], std::slice::from_ref(&gone));
    assert_eq!(
        judge(&history).contradictions,
        [Violation::Invented {
            run: "r1".to_owned(),
            shown: Shown::Nothing
        }]
    );
    if let Some(run) = history.runs.get_mut("r1") {
        run.is_deleted = true;
    }
    let verdict = judge(&history);
    assert_eq!((verdict.contradictions, verdict.owed), (vec![], vec![]));
}

#[test]
fn an_event_that_overtakes_another_is_found() {
    for arrivals in [
        vec![came(2, 2)],
        vec![came(1, 1), came(3, 3)],
        vec![
            Arrival {
                is_accepted: false,
                ..came(1, 1)
            },
            came(2, 2),
        ],
    ] {
        let found = contradictions(&arrivals);
        assert!(matches!(found[..], [Violation::Overtaken { .. }]), "{found:?}");
    }
}

#[test]
fn only_the_event_in_hand_may_come_again() {
    assert_eq!(contradictions(&[came(1, 1), came(2, 2), came(2, 2)]), []);
    let found = contradictions(&[came(1, 1), came(2, 2), came(1, 1)]);
    assert!(
        matches!(found[..], [Violation::WentBack { came: 1, after: 2, .. }]),
        "{found:?}"
    );
}

#[test]
fn an_older_state_after_a_newer_one_is_found_unless_it_says_so() {
    let found = contradictions(&[came(1, 2), came(2, 1)]);
    assert!(
        matches!(found[..], [Violation::Aged { shown: 1, after: 2, .. }]),
        "{found:?}"
    );
    let stale = Arrival {
        is_stale: true,
        ..came(2, 1)
    };
    assert_eq!(contradictions(&[came(1, 2), stale]), []);
}

#[test]
fn two_ids_for_one_place_and_two_bodies_for_one_id_are_found() {
    let other_id = Arrival {
        id: "e9".to_owned(),
        ..came(1, 1)
    };
    let found = contradictions(&[came(1, 1), other_id]);
    assert!(
        matches!(found[..], [Violation::TwoIds { sequence: 1, .. }]),
        "{found:?}"
    );
    let other_body = Arrival {
        body: Bytes::from_static(b"something else"),
        ..came(1, 1)
    };
    let found = contradictions(&[came(1, 1), other_body]);
    assert!(
        matches!(&found[..], [Violation::TwoEvents { id }] if id == "e1"),
        "{found:?}"
    );
}

#[test]
fn ids_are_the_same_for_every_handler() {
    let mut history = history(&[], &[came(1, 1)]);
    let other = Arrival {
        id: "e9".to_owned(),
        ..came(1, 1)
    };
    history.arrivals.insert("billing".to_owned(), vec![other]);
    assert!(matches!(judge(&history).contradictions[..], [Violation::TwoIds { .. }]));
}

#[test]
fn a_state_that_the_api_never_held_is_found() {
    let found = contradictions(&[came(1, 4)]);
    assert!(matches!(found[..], [Violation::Invented { .. }]), "{found:?}");
    let elsewhere = Arrival {
        run: "r2".to_owned(),
        ..came(1, 1)
    };
    let found = contradictions(&[elsewhere]);
    assert!(matches!(found[..], [Violation::Invented { .. }]), "{found:?}");
}

#[test]
fn without_a_sweep_every_run_ends_on_the_last_state_that_any_webhook_announced() {
    let silent = Announcement {
        is_binding: false,
        ..announced(2)
    };
    let told_early = Arrival {
        told: BTreeSet::from([told("change 2")]),
        ..came(2, 1)
    };
    let mut history = history(&[announced(1), silent], &[came(1, 1), told_early]);
    assert_eq!(judge(&history).owed, [], "a sweep finds it");
    history.without_sweeps = true;
    let owed = judge(&history).owed;
    assert!(
        matches!(
            owed[..],
            [Violation::NotEnded {
                shown: 1,
                announced: 2,
                ..
            }]
        ),
        "{owed:?}"
    );
}

/// What events that show these states are said to undo, after these versions took something back.
fn undone(states: &[(u64, Done)], undone: &[(u64, Undone)]) -> Vec<String> {
    let event = |(sequence, (version, done)): (u64, &(u64, Done))| Arrival {
        done: Some(done.clone()),
        is_stale: true,
        ..came(sequence, *version)
    };
    let mut history = history(&[], &(1..).zip(states).map(event).collect::<Vec<_>>());
    if let Some(run) = history.runs.get_mut("r1") {
        run.undone = undone.to_vec();
    }
    let found = judge(&history).contradictions;
    found.iter().map(ToString::to_string).collect()
}

/// A run that was updated at this minute, with one task.
fn state(minute: u8, is_complete: bool, task: Option<bool>) -> Done {
    Done {
        updated: format!("2026-01-31T09:{minute:02}:00Z").parse().ok(),
        is_complete,
        is_archived: false,
        tasks: task.map(|is_done| [("t1".to_owned(), is_done)].into()),
    }
}

#[test]
fn a_state_that_goes_back_is_found_even_if_the_event_says_that_it_is_stale() {
    let reopened = [(2, Undone::Completion)];
    let there_and_back = [(1, state(1, true, None)), (2, state(2, false, None))];
    let found = undone(&there_and_back, &[]);
    assert!(
        found
            .iter()
            .any(|it| it.contains("saw a state go back: it was complete")),
        "{found:?}"
    );
    assert_eq!(undone(&there_and_back, &reopened), [""; 0]);
    let reopened_just_then = [(1, Undone::Completion)];
    assert_eq!(
        undone(&there_and_back, &reopened_just_then),
        [""; 0],
        "the version is written first"
    );
    let later = there_and_back.map(|(version, done)| (version + 1, done));
    assert_eq!(undone(&later, &reopened_just_then).len(), 1, "that was before");
    let of_one_operation = [(2, state(2, false, None)), (2, state(1, false, None))];
    assert_eq!(undone(&of_one_operation, &[]), [""; 0]);
    let older = [(2, state(2, false, None)), (1, state(1, false, None))];
    let found = undone(&older, &[]);
    assert!(found.iter().any(|it| it.contains("last updated")), "{found:?}");
}

#[test]
fn a_completed_task_that_opens_again_is_found_across_events_that_were_not_told_the_tasks() {
    let story = [
        (1, state(1, false, Some(true))),
        (2, state(2, false, None)),
        (3, state(3, false, Some(false))),
    ];
    assert_eq!(undone(&story, &[]).len(), 1);
    assert_eq!(undone(&story, &[(2, Undone::Task("t1".to_owned()))]), [""; 0]);
    assert_eq!(undone(&story, &[(2, Undone::Task("t2".to_owned()))]).len(), 1);
}

#[test]
fn a_reactivation_that_nobody_did_is_found() {
    let told = |undone: &[(u64, Undone)]| {
        let complete = |sequence, version| Arrival {
            done: Some(state(1, true, None)),
            ..came(sequence, version)
        };
        let again = Arrival {
            is_reactivation: true,
            ..complete(2, 2)
        };
        let mut history = history(&[], &[complete(1, 1), again]);
        if let Some(run) = history.runs.get_mut("r1") {
            run.undone = undone.to_vec();
        }
        judge(&history).contradictions
    };
    assert!(matches!(told(&[])[..], [Violation::Undone { came: 2, .. }]));
    assert_eq!(told(&[(2, Undone::Completion)]), []);
}

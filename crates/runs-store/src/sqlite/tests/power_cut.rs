use super::*;

/// A write-ahead log that ends anywhere is a store with all that was committed before.
#[tokio::test]
async fn a_log_that_was_cut_off_anywhere_keeps_what_was_answered_before() {
    let place = Place::new();
    let store = place.open(0);
    // The log begins anew, so that it grows with each commit.
    let begin_anew = "PRAGMA wal_checkpoint(TRUNCATE)";
    place.raw().query_row(begin_anew, [], |_| Ok(())).unwrap();
    let mut ends = vec![fs::metadata(place.beside("-wal")).unwrap().len()];
    for number in 0..8 {
        store.append(of_run(&number.to_string()), at(number)).await.unwrap();
        ends.push(fs::metadata(place.beside("-wal")).unwrap().len());
    }
    for cut in ends
        .iter()
        .flat_map(|end| [end.saturating_sub(1), *end, end + 1, end + 5000])
    {
        let answered = ends.iter().skip(1).filter(|&&end| end <= cut).count();
        let left = place.copy();
        let log = fs::OpenOptions::new().write(true).open(left.beside("-wal")).unwrap();
        if cut < log.metadata().unwrap().len() {
            log.set_len(cut).unwrap();
        }
        drop(log);
        let names = claimed_names(&left.open(100), 100).await;
        let expected: Vec<_> = (0..answered).map(|number| format!("run {number}")).collect();
        assert_eq!(names, expected, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_copy_made_at_any_moment_has_what_was_answered() {
    let place = Place::new();
    let store = place.open(0);
    for round in 0..20 {
        let mut answered = 0;
        let appends = async {
            for number in 0..round {
                store.append(of_run(&format!("{round}-{number}")), at(0)).await.unwrap();
                answered += 1;
            }
        };
        // The copy is made while an append is under way, or between two.
        tokio::select! {
            biased;
            () = appends => {}
            () = async { for _ in 0..round { tokio::task::yield_now().await } } => {}
        }
        let left = place.copy();
        let names = claimed_names(&left.open(1), 1).await;
        for number in 0..answered {
            assert!(names.contains(&format!("run {round}-{number}")), "{names:?}");
        }
    }
}

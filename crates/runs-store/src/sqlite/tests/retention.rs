use super::takeover::changed;
use super::*;
use crate::desks::{HandlerName, Prune};

#[tokio::test]
async fn the_file_stays_as_large_as_it_once_was() {
    let place = Place::new();
    let store = place.open(0);
    let handler = HandlerName::new("h");
    store.set_handlers(std::slice::from_ref(&handler), at(0)).await.unwrap();
    let mut sizes = Vec::new();
    for round in 0..12 {
        for number in 0..40 {
            let body = Bytes::from(vec![b'x'; 8_000]);
            store
                .append(
                    NewNotification {
                        body,
                        ..of_run(&format!("r{number}"))
                    },
                    at(0),
                )
                .await
                .unwrap();
        }
        for due in claimed(&store, 0).await {
            let mut refreshed = changed();
            refreshed.events[0].body = Bytes::from(vec![b'y'; 20_000]);
            commit(&store, &due.lease, refreshed, 0).await.unwrap();
        }
        for delivery in store.claim_deliveries(&handler, claim(0)).await.unwrap().work {
            settle(&store, &delivery.lease, Settlement::Delivered, 0).await.unwrap();
        }
        let mut prune = Prune {
            events_before: Some(wall(1)),
            notifications_before: Some(wall(1)),
            limit: 16,
            ..Prune::default()
        };
        loop {
            let pruned = store.prune(prune).await.unwrap();
            if pruned.is_done {
                sizes.push(pruned.used_bytes);
                break;
            }
            prune = pruned.next;
        }
        assert_eq!(sizes.len(), round + 1);
    }
    store.close().await;
    let size = fs::metadata(place.path()).unwrap().len();
    // One round is some 1.1 MB of bodies, and twelve rounds are 13 MB.
    assert!(size < 3_000_000, "{size}");
    assert!(sizes.iter().all(|size| *size < 3_000_000), "{sizes:?}");
}

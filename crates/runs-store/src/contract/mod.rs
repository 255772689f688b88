//! The suite that every implementation of [`Store`](crate::Store) must pass.
//!
//! An implementation says how a store of its own is set up, restarted and brought down, and calls
//! [`store_contract!`](crate::store_contract) in a test file:
//!
//! ```ignore
//! struct InMyDatabase { /* … */ }
//!
//! #[async_trait]
//! impl StoreUnderTest for InMyDatabase { /* … */ }
//!
//! runs_store::store_contract!(InMyDatabase);
//! ```
//!
//! Time is passed in everywhere, so nothing here sleeps. For a store that may have several workers there is
//! [`several_workers_contract!`](crate::several_workers_contract) besides.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]
#![expect(missing_docs, reason = "the names are sentences")]

pub mod durability;
pub mod import;
pub mod inbox;
pub mod model;
pub mod operator;
pub mod outbox;
pub mod refresh;
pub mod retention;
pub mod several;
pub mod story;
pub mod sweeps;
pub mod tasks;

mod arrange;
mod under_test;

pub use several::SeveralUnderTest;
pub use under_test::StoreUnderTest;

/// Defines the tests of the suite for one implementation.
#[macro_export]
macro_rules! store_contract {
    ($store:ty) => {
        $crate::store_contract! { @in $store;
            inbox: [
                a_notification_makes_its_run_due
                notifications_of_one_run_share_one_claim
                fifty_notifications_during_a_fetch_cost_exactly_one_more
                a_notification_waits_out_the_pause_after_a_commit
                a_notification_does_not_cut_a_postponement_short
                a_notification_lifts_a_sweep_into_the_live_lane
                a_notification_keeps_the_place_of_those_before_it
                a_person_does_not_wait_for_the_end_of_a_postponement
                a_person_waits_for_the_pause_after_a_commit
                organizations_do_not_see_each_other
                ids_may_hold_anything
                an_unrecognized_body_is_kept_and_counted
                a_duplicate_of_a_waiting_notification_costs_nothing
                a_duplicate_during_the_fetch_of_its_twin_makes_the_run_due_again
                a_duplicate_of_a_covered_notification_makes_the_run_due_again
                a_duplicate_of_a_postponed_notification_costs_nothing
                equal_keys_of_two_organizations_are_no_duplicates
                a_readable_twin_of_an_unreadable_body_is_no_duplicate
                a_notification_that_is_appended_twice_is_stored_once
            ]
            import: [
                a_batch_is_kept_in_its_order_and_makes_each_run_due_once
                a_batch_that_was_imported_changes_nothing
                each_log_has_a_position_of_its_own_that_survives_a_crash
                a_duplicate_within_a_batch_is_found
                a_duplicate_of_a_notification_that_is_being_fetched_makes_the_run_due_again
                what_the_store_has_already_is_not_stored_twice
            ]
            refresh: [
                live_goes_before_retry_before_sweep_then_the_longest_due
                known_runs_and_others_take_turns_in_each_lane
                turns_go_on_from_claim_to_claim
                the_limit_leaves_the_rest_due
                a_limit_of_nothing_hands_out_nothing
                what_is_leased_is_not_handed_out_again
                an_attempt_that_ends_with_its_lease_counts_as_a_failure
                an_expired_lease_is_good_while_nobody_has_claimed_the_work
                a_lease_that_was_handed_out_again_changes_nothing
                a_lease_ends_once
                leases_of_refreshes_and_deliveries_are_not_mixed_up
                a_snapshot_comes_with_the_next_claim
                a_commit_ends_failures
                each_cause_of_a_postponement_counts_as_what_it_is
                a_postponed_run_keeps_all_its_notifications
                a_notification_during_a_failing_attempt_waits_for_the_backoff_in_the_live_lane
                a_sweep_during_a_fetch_waits_in_the_sweep_lane
                a_sweep_of_a_failing_run_leaves_it_among_the_retries
                the_newest_bodies_come_with_the_claim
                events_are_numbered_within_their_run
                several_events_of_one_refresh_are_numbered_in_their_order
                refreshes_that_end_together_have_an_outcome_each
                what_the_worker_remembers_comes_with_the_next_claim
                a_look_comes_by_itself_and_keeps_nothing_waiting
                what_is_postponed_for_a_look_does_not_hold_a_notification_up
                an_organization_is_watched_since_it_was_first_said
                what_is_used_of_a_budget_is_kept
            ]
            tasks: [
                the_notifications_of_a_task_become_those_of_its_run
                what_arrives_while_a_task_is_resolved_goes_to_the_run
                a_resolved_task_leads_to_its_run_at_once
                a_duplicate_of_a_tasks_notification_counts_for_the_run
                a_task_without_a_run_ends_without_an_event
                a_duplicate_of_what_ended_with_the_task_counts_for_the_run
                a_run_is_not_resolved
            ]
            outbox: [
                an_event_goes_to_every_active_handler
                events_of_one_run_come_one_at_a_time_and_in_order
                an_event_goes_to_none_but_its_recipients_and_is_counted_all_the_same
                neither_runs_nor_handlers_wait_for_each_other
                a_retry_waits_and_counts
                a_dead_letter_lets_the_next_event_go_on
                an_attempt_that_ends_with_its_lease_counts
                a_released_delivery_was_no_attempt
                the_limit_leaves_the_rest_due
                no_more_are_in_flight_than_may_be
                a_lease_that_was_handed_out_again_changes_nothing
                attempts_that_end_together_have_an_outcome_each
                what_settling_makes_due_is_claimed_with_it
                a_claim_hands_out_a_bounded_number_of_bytes
                a_failing_delivery_tells_how_it_stands
                nothing_of_a_paused_handler_is_claimed
                a_new_handler_starts_with_the_next_event
                a_handler_that_is_not_named_keeps_what_it_has_left
                nothing_of_an_unknown_handler_is_claimed
                an_event_without_a_handler_is_for_nobody
                stats_count_what_waits
            ]
            operator: [
                a_dead_letter_is_shown_and_goes_back_to_the_head_of_its_line
                what_became_of_an_event_for_each_handler_is_kept_with_it
                what_is_put_back_while_another_is_out_is_the_next
                only_the_dead_letters_that_are_meant_are_touched
                events_are_listed_as_they_are_meant
                events_are_replayed_in_order_with_their_ids
                nothing_is_replayed_to_a_handler_that_never_was
                what_waits_for_a_handler_is_dropped_only_when_it_is_gone
                a_notification_that_can_be_read_now_makes_its_run_due
                a_notification_names_the_events_that_it_led_to
                a_sweep_and_a_fetch_are_asked_for_beside_the_worker
                a_delivery_that_waits_for_its_next_try_can_be_tried_now
                ids_are_found_by_their_beginning
            ]
            retention: [
                only_events_that_nobody_needs_are_removed
                notifications_stay_until_they_are_covered
                snapshots_of_runs_that_are_due_stay
                what_has_no_age_is_kept
            ]
            sweeps: [
                the_first_sweep_takes_down_what_is_there
                a_backfill_makes_all_of_it_due
                a_later_sweep_finds_what_nobody_told_of
                what_the_list_shows_as_it_was_fetched_costs_nothing
                a_difference_that_stays_is_looked_at_once
                a_run_that_left_the_list_is_looked_at_once
                a_run_that_was_fetched_meanwhile_has_not_vanished
                what_waits_already_is_only_counted
                runs_are_counted_once_in_all_passes
                an_audit_changes_nothing
                an_audit_before_any_sweep_says_that_all_is_missing
                a_sweep_goes_on_where_it_was_after_a_crash
                a_page_that_somebody_else_recorded_is_refused
                what_a_person_asked_for_comes_next
                a_claim_looks_into_the_lanes_that_it_is_told
            ]
            durability: [
                what_was_answered_survives_a_crash
                what_was_answered_survives_a_restart
                leases_end_with_their_worker
                a_failing_verb_does_not_hurt_those_beside_it
                appends_at_the_same_time_are_all_kept
                a_caller_that_goes_away_does_no_harm
                every_verb_that_makes_something_due_wakes_the_stage
                a_failed_verb_wakes_nobody
                the_store_can_be_probed
            ]
        }

        #[test]
        fn the_promises_hold_whatever_happens() {
            if <$store as $crate::contract::StoreUnderTest>::is_there() {
                $crate::contract::model::the_promises_hold_whatever_happens::<$store>();
            }
        }
    };
    (@in $store:ty; $($room:ident: [$($name:ident)*])*) => {
        $(
            mod $room {
                use super::*;

                $(
                    #[tokio::test]
                    async fn $name() {
                        if <$store as $crate::contract::StoreUnderTest>::is_there() {
                            $crate::contract::$room::$name::<$store>().await;
                        }
                    }
                )*
            }
        )*
    };
}

/// Defines the tests of what is told, for one implementation.
#[macro_export]
macro_rules! story_contract {
    ($store:ty) => {
        $crate::store_contract! { @in $store;
            story: [
                a_run_is_told_from_the_webhook_to_the_handler
                nothing_is_told_of_a_run_that_is_not_known
                what_was_given_up_and_sent_again_is_told_in_full
                what_is_told_of_one_run_is_bounded
                what_is_told_goes_with_its_age
                runs_are_listed_by_their_last_fetch_page_by_page
                runs_are_listed_by_what_holds_them_up
                heads_that_failed_at_the_same_moment_come_one_by_one
                lists_go_on_after_an_entry
                the_journal_is_read_backwards
                what_workers_do_is_added_up_by_the_minute
            ]
        }
    };
}

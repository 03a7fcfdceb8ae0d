//! What every kind of queue must do. Each test is generic over the kind; [`contract!`] runs all of them on one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod acceptance;
mod control;
mod forgets;
mod interruptions;
mod leases;
mod ledger;
mod modes;
mod names;
mod order;
mod outbox;
mod pauses;
mod periods;
mod renames;
mod resets;
mod settlement;
mod swaps;
mod takes;
mod threads;
mod views;
mod watch;

/// Makes a test of each listed function. One that is forgotten here is dead code, and a warning says so.
macro_rules! tests {
    ($factory:ty; $($module:ident { $($test:ident)+ })+) => {
        $(mod $module {
            $(#[tokio::test]
            async fn $test() {
                let storage = <$factory as crate::support::Factory>::new();
                crate::$module::$test(&storage).await;
            })+
        })+
    };
}

/// The contract, for one kind of queue.
macro_rules! contract {
    ($kind:ident: $factory:ty) => {
        mod $kind {
            tests! { $factory;
                acceptance {
                    an_accepted_turn_waits
                    a_message_is_accepted_once
                    a_message_stays_accepted_after_its_turn_and_after_a_restart
                    a_known_message_stays_in_its_first_lane
                    vault_and_note_are_the_key_together
                    answers_come_in_the_given_order
                    a_cursor_moves_with_its_messages
                    a_cursor_never_moves_back
                    a_feed_that_was_replaced_begins_anew
                    nothing_is_a_fine_batch
                    hostile_bodies_come_back_unchanged
                    hostile_texts_come_back_unchanged
                    numbers_keep_every_digit
                    deep_bodies_come_back_or_are_refused
                    a_cursor_that_cannot_be_stored_is_refused
                }
                order {
                    a_lane_is_first_in_first_out
                    a_clock_that_goes_back_changes_no_order
                    a_lane_has_one_worker
                    lanes_do_not_wait_for_each_other
                    threads_of_a_channel_are_lanes
                    a_released_turn_keeps_its_place
                    lanes_are_listed_by_their_oldest
                    an_unknown_lane_has_nothing
                }
                leases {
                    a_claim_tells_everything
                    a_second_claim_fences_the_first
                    a_released_lease_is_stale
                    a_settled_lease_is_stale
                    a_lease_that_was_never_given_is_stale
                    a_stale_write_changes_nothing
                    a_lease_ends_without_heartbeats
                    a_heartbeat_holds_the_claim
                    epochs_grow_over_restarts
                }
                interruptions {
                    a_turn_that_had_not_begun_is_not_interrupted
                    a_turn_that_had_begun_is_interrupted
                    a_second_cut_before_the_prompt_is_no_interruption
                    interruptions_add_up
                    the_last_session_of_an_attempt_is_kept
                    a_begin_can_be_taken_back
                    a_begin_of_a_former_attempt_can_be_taken_back
                    taking_back_the_second_begin_leaves_the_first_interruption
                    taking_back_the_second_of_two_leaves_the_session_of_the_first
                    two_begins_can_be_taken_back_one_after_the_other
                    recovery_counts_what_it_finds
                    recovery_leaves_settled_and_waiting_turns_alone
                    expiry_counts_like_recovery
                }
                settlement {
                    what_every_attempt_took_is_counted_once
                    everything_is_written_together
                    each_terminal_state_ends_a_turn
                    a_turn_cannot_end_in_a_state_that_goes_on
                    absurd_amounts_do_no_harm
                    a_session_is_kept_set_and_cleared
                    sums_are_exact
                    conversations_do_not_mix
                    a_settled_turn_survives_a_restart
                }
                control {
                    a_cancelled_turn_ends_with_its_effects
                    only_what_waits_is_in_reach
                    a_cancel_is_all_or_nothing
                    a_cancel_leaves_the_running_turn_alone
                    a_cancelled_turn_keeps_what_it_took
                    a_held_turn_is_passed_over
                    a_lane_of_held_turns_has_nothing
                    a_turn_moves_within_its_lane
                    later_arrivals_stay_behind_a_moved_turn
                    a_moved_turn_keeps_its_new_place
                    a_move_before_a_stranger_is_refused
                    held_turns_move_and_are_moved_around
                    an_edit_replaces_the_body_alone
                    a_message_that_was_edited_is_taken_over_while_it_waits
                }
                modes {
                    an_interrupt_goes_to_the_front
                    an_interrupt_goes_before_held_turns
                    a_mode_comes_back
                    collected_messages_share_a_turn
                    another_kind_ends_the_row
                    a_held_turn_does_not_end_the_row
                    joined_messages_come_with_the_next_claim
                    nobody_joins_a_turn_that_has_begun
                    a_turn_that_has_begun_joins_nobody
                    a_turn_brings_those_that_had_joined_it
                    a_shared_turn_has_an_end
                    a_cancelled_turn_lets_the_joined_go
                    joined_turns_are_listed_with_theirs
                }
                pauses {
                    a_peek_sees_what_a_claim_would_give_and_takes_nothing
                    a_paused_channel_gives_nothing
                    a_pause_leaves_the_running_turn_alone
                    a_pause_ends_at_its_time
                    a_later_pause_replaces_the_earlier
                    a_pause_is_ended_by_its_code
                    hostile_reasons_come_back_unchanged
                }
                forgets {
                    what_was_said_goes_and_the_rest_stays
                    what_is_still_to_be_delivered_is_kept
                    batches_go_on_and_end
                    nothing_is_looked_at_twice_but_behind_what_is_open
                }
                ledger {
                    a_day_sums_over_a_channel
                    a_day_ends_at_midnight_utc
                    a_clock_that_goes_back_goes_on_with_that_day
                    attempts_are_counted_once
                    what_took_nothing_is_not_listed
                    a_shared_turn_is_one_turn
                    absurd_sums_do_no_harm
                    an_overview_is_exact
                    a_chain_is_summed_over_channels
                    a_chain_counts_what_came_before
                    a_chain_counts_a_shared_turn_once
                    hostile_chains_are_chains
                }
                periods {
                    a_span_tells_how_turns_ended_by_channel
                    a_span_has_its_beginning_and_not_its_end
                    times_are_told_by_rank
                    what_was_no_turn_of_its_own_is_left_out
                    what_is_open_is_told_with_its_age
                }
                resets {
                    tc_sess_11_a_reset_forgets_the_sessions_of_a_channel
                    nothing_to_reset_is_no_error
                    a_turn_that_runs_does_not_bring_its_session_back
                    a_cut_session_is_forgotten
                    an_attempt_from_before_the_reset_leaves_no_session
                }
                renames {
                    a_first_binding_moves_nothing
                    a_channel_moves_with_all_that_it_has
                    what_comes_for_the_old_name_waits_there
                    a_conversation_in_the_way_is_set_aside
                    a_guessed_key_does_no_harm
                    a_turn_that_was_set_aside_is_not_lost
                    a_shared_turn_joins_the_other_line_whole
                    a_forgotten_note_leaves_its_channel
                    another_note_begins_anew
                    a_name_can_be_taken_back
                    a_pause_moves_and_stays
                    days_are_summed
                    hostile_bindings_come_back_unchanged
                }
                swaps {
                    a_swap_crosses_no_wires
                    a_newcomer_gets_nothing_of_what_moves
                    who_lost_a_name_takes_nothing_along
                    two_cannot_hold_one_name
                }
                takes {
                    a_taken_turn_tells_everything
                    a_worker_of_ours_holds_nothing_outside
                    a_line_is_given_away_in_its_order
                    the_front_is_what_would_be_taken
                    nothing_is_given_twice_and_nothing_starves
                    a_lane_may_be_in_several_hands
                    a_lane_with_a_worker_is_passed_over
                    a_restart_leaves_what_is_taken
                    a_claim_ends_at_its_time
                    expiry_takes_back_what_is_taken_too
                    an_endless_time_is_no_error
                    only_the_newest_claim_counts
                    what_was_given_back_waits_at_its_place
                    a_persons_hand_is_kept_off_what_is_taken
                    a_paused_channel_is_not_given_away
                    collected_messages_are_taken_together
                    what_is_taken_moves_with_its_channel
                    a_reset_leaves_what_is_taken
                    a_line_changes_hands
                    hostile_owners_come_back_unchanged
                }
                threads {
                    conversations_are_listed_by_what_happened_last
                    a_conversation_stands_as_its_turns_do
                    a_label_stays_until_it_is_changed
                    turns_are_found_by_their_chain_and_their_conversation
                }
                outbox {
                    an_effect_starts_pending_and_due
                    effects_keep_the_order_of_writing
                    the_limit_takes_the_oldest
                    a_failed_effect_holds_its_target_back
                    the_next_due_is_one_that_can_be_delivered
                    a_failed_try_is_noted
                    a_parked_effect_is_never_due_and_kept
                    delivery_is_idempotent
                    a_turn_with_nothing_left_is_named_once
                    a_group_is_held_back_as_a_whole
                    what_is_overdue_is_listed_page_by_page
                    a_retry_makes_due_what_waits_or_is_parked
                    an_unknown_number_is_no_effect
                    a_delivered_effect_cannot_fail
                    the_outbox_survives_a_restart
                }
                views {
                    a_place_counts_what_is_before_it
                    open_turns_come_working_first
                    waiting_turns_are_counted_so_far
                    depths_count_turns_in_line
                    settled_turns_come_newest_first
                    a_turn_is_found_by_its_message
                    a_turn_is_listed_with_those_that_joined_it
                    a_turn_is_found_by_a_part_of_its_identity
                    conversations_come_oldest_first
                }
                watch {
                    writes_that_make_work_wake
                    a_persons_hand_wakes
                    every_watcher_wakes
                    looking_for_work_wakes_nobody
                }
            }
        }
    };
}

contract!(sqlite: crate::support::Sqlite);

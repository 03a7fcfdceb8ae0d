//! What every kind of vault must do. `vault_contract!(factory)` makes one test of each case; `factory` is an async function
//! that answers a [`Subject`] with an empty vault. The other macros are for what not every kind can: a kind that cannot has
//! tests of its own that it says so.

pub(crate) mod attachments;
pub(crate) mod changes;
pub(crate) mod deliveries;
pub(crate) mod links;
pub(crate) mod listing;
pub(crate) mod notes;
pub(crate) mod patches;
pub(crate) mod queries;
pub(crate) mod search;
pub(crate) mod tags;
pub(crate) mod triggers;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reveille_vault::{ContentChange, Key, Metadata, NewNote, Note, NoteId, Patch, Vault, VaultError};
use serde_json::{Value, json};

/// Longest time that a test waits for something that must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A vault under test.
pub(crate) struct Subject {
    pub(crate) vault: Arc<dyn Vault>,
    /// Lives as long as the test: the directory of the files, a server.
    pub(crate) _keep: Box<dyn Any + Send>,
}

macro_rules! cases {
    ($contract:ident: $($module:ident { $($case:ident)* })*) => {
        #[allow(unused_macros, reason = "not every kind can all of it")]
        macro_rules! $contract {
            ($factory:path) => {
                $($(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let subject: $crate::contract::Subject = $factory().await;
                        $crate::contract::$module::$case(subject.vault.clone()).await;
                    }
                )*)*
            };
        }
        #[allow(unused_imports, reason = "not every kind can all of it")]
        pub(crate) use $contract;
    };
}

cases! {
    vault_contract:
    notes {
        a_created_note_reads_back
        an_absent_note_is_none
        an_id_goes_before_a_path
        paths_are_case_sensitive
        an_id_or_a_path_is_given_once
        a_note_needs_text_or_a_path
        tags_and_paths_that_cannot_be_asked_for_are_refused
        any_text_survives
        a_deleted_note_is_gone_and_frees_its_path
    }
    patches {
        content_is_replaced_extended_and_edited
        an_edit_must_match_once
        tags_are_added_and_removed
        paths_are_renamed_and_removed
        a_note_cannot_be_emptied
        a_patch_that_changes_nothing_writes_nothing
        every_change_moves_updated_at
        a_stale_precondition_is_a_conflict
        an_absent_note_cannot_be_patched
        of_many_writers_with_one_precondition_one_wins
        concurrent_patches_lose_nothing
        an_upsert_creates_then_changes
        concurrent_upserts_create_once
    }
    listing {
        every_filter_agrees_with_a_plain_scan
        pages_follow_each_other_without_gap_or_repeat
        paths_are_compared_literally_without_case
        metadata_is_compared_as_text
        a_listing_follows_changes_of_its_keys
        a_bad_query_is_refused
        a_scope_bounds_every_listing_before_its_limit
    }
    queries {
        operators_agree_with_a_plain_scan
        times_and_untagged_notes_are_told_apart
        every_order_is_kept_page_by_page
        a_cursor_is_for_one_order_only
        an_order_by_an_unknown_field_is_refused
    }
    search {
        words_are_found_in_bodies
        a_search_follows_changes_of_the_body
        a_search_has_pages
    }
    tags {
        a_tag_is_known_from_its_first_use
        a_schema_is_put_and_merged_by_field
        a_field_that_is_declared_indexed_orders_listings
        what_no_schema_can_be_is_refused
        a_tag_finds_what_is_a_kind_of_it
        a_tag_with_many_kinds_is_listed_page_by_page
        a_note_can_say_what_a_tag_is_a_kind_of
        a_tag_is_renamed_on_all_notes
        tags_are_merged_and_removed
    }
    links {
        wikilinks_lead_to_the_notes_that_they_name
        a_link_resolves_when_its_note_appears_and_waits_when_it_goes
        links_follow_the_body
        a_renamed_note_keeps_its_links
        a_path_that_no_link_can_name_leaves_the_links
        a_refused_rename_rewrites_nothing
        links_are_given_with_a_note_and_taken_away
        a_given_link_waits_for_its_note
        the_neighbourhood_of_a_note_is_told
        a_way_leads_only_over_notes_that_are_seen
        notes_are_listed_by_whether_they_have_links
        a_way_between_two_notes_is_found
    }
    triggers {
        a_trigger_is_put_found_and_removed
        a_trigger_that_makes_no_sense_is_refused
        writes_leave_what_triggers_ask_for
        a_patch_is_judged_as_a_whole
        what_is_told_is_the_note_as_it_was_written
        a_note_and_what_it_leaves_are_written_together
    }
    deliveries {
        deliveries_of_a_note_go_in_their_order
        a_receiver_gets_no_more_at_once_than_it_has_lanes
        what_failed_is_due_later_and_what_was_given_up_can_be_driven_again
        a_reply_is_written_and_fires_nothing
        a_reply_that_the_note_does_not_take_changes_nothing
        a_receiver_that_is_gone_is_asked_for_nothing
        a_paused_trigger_holds_what_waits
    }
    changes {
        the_log_names_every_change_in_order
        a_refused_write_leaves_no_trace
        the_watch_tells_the_newest_cursor
        a_tail_sees_every_change_once_while_many_write
    }
}

// Several new notes are written all or none.
cases! {
    batch_contract:
    notes {
        a_batch_is_all_or_none
    }
}

// A metadata key can be taken away.
cases! {
    removal_contract:
    patches {
        metadata_is_merged_and_removed
    }
}

// Notes of one instant have an order: that of their insertion.
cases! {
    order_contract:
    listing {
        pages_are_stable_while_notes_come_and_go
        notes_of_one_instant_keep_their_order
    }
}

// Files of any type and name are kept, and go when nobody needs them.
cases! {
    files_contract:
    attachments {
        a_file_is_uploaded_and_read_back
        a_path_is_only_ever_a_name
        attachments_are_listed_in_order
        the_notes_of_a_file_are_told
        a_note_comes_with_its_attachments_or_not_at_all
        what_cannot_be_attached_is_refused
        a_file_goes_with_the_last_of_its_attachments
        only_what_nobody_attached_is_swept
        an_attachment_is_no_change_of_its_note
    }
}

pub(crate) fn id(text: &str) -> NoteId {
    NoteId::new(text).unwrap()
}

pub(crate) fn at_id(text: &str) -> Key {
    Key::Id(id(text))
}

pub(crate) fn metadata(value: Value) -> Metadata {
    match value {
        Value::Object(map) => map,
        other => panic!("no object: {other}"),
    }
}

/// A new note with a chosen id and that id as its text.
pub(crate) fn note(text: &str) -> NewNote {
    NewNote {
        id: Some(id(text)),
        content: text.to_owned(),
        ..NewNote::default()
    }
}

/// Writes notes one by one.
pub(crate) async fn create_each(vault: &dyn Vault, notes: impl IntoIterator<Item = NewNote>) {
    for note in notes {
        vault.create(note).await.unwrap();
    }
}

/// A time given in milliseconds.
pub(crate) fn ms(value: i64) -> Timestamp {
    Timestamp::from_millisecond(value).unwrap()
}

pub(crate) fn append(text: &str) -> Patch {
    Patch {
        content: ContentChange::Extend {
            prepend: String::new(),
            append: text.to_owned(),
        },
        ..Patch::default()
    }
}

pub(crate) fn set(key: &str, value: &str) -> Patch {
    Patch {
        metadata: metadata(json!({ key: value })),
        ..Patch::default()
    }
}

pub(crate) async fn get(vault: &dyn Vault, text: &str) -> Note {
    vault.get(&at_id(text)).await.unwrap().unwrap()
}

/// The error as text: [`VaultError`] has no equality.
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, VaultError>) -> String {
    format!("{:?}", outcome.unwrap_err())
}

pub(crate) fn ids(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.id.as_str()).collect()
}

//! What every engine promises, asked of each engine by the same tests.
//!
//! An engine joins by implementing [`Harness`] and naming itself in [`suite!`]. Services here use a few words of shell
//! that the fake engine understands as well as a real container does.

mod bed;
pub mod lifecycle;
pub mod log;
pub mod shape;
pub mod task;
pub mod update;
pub mod watch;

pub use bed::{Bed, Harness, Lacks, Lines, Tamper, contents, sh};

/// One `#[tokio::test]` for each case, against the engine of one harness.
macro_rules! suite {
    ($harness:ty: $($module:ident::{$($case:ident),* $(,)?}),* $(,)?) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            let bed = $crate::conformance::Bed::new(<$harness>::new());
            $crate::conformance::$module::$case(&bed).await;
        }
    )*)*};
}

/// Every case.
macro_rules! every_case {
    ($harness:ty) => {
        $crate::conformance::suite! { $harness:
            shape::{
                it_says_what_it_is,
                the_first_replicas_run_and_serve,
                values_reach_the_container_as_variables_and_files,
                a_read_only_service_writes_to_memory_alone,
                files_of_the_bundle_are_there_and_built_once,
                an_image_is_built_from_the_bundle_once,
                a_build_without_its_dockerfile_fails_in_words,
                ports_are_published_where_asked,
                a_held_port_is_named,
                what_is_not_there_is_no_such_slot,
            },
            lifecycle::{
                ensure_may_be_repeated,
                scaling_keeps_what_runs,
                an_unchanged_service_is_not_touched_by_another_revision,
                a_command_that_does_not_exist_is_named,
                a_stopped_replica_is_started_again,
                a_removed_replica_is_made_again,
                changed_limits_are_seen_and_put_right,
                a_replica_taken_off_its_network_is_seen_and_put_back,
                a_woken_replica_is_the_same,
                retiring_what_is_gone_is_no_error,
                a_workload_with_replicas_is_not_released,
                volumes_outlive_a_release_that_does_not_name_them,
                images_of_retained_revisions_are_kept,
                pinned_images_are_used_whatever_their_names_mean,
            },
            update::{
                start_first_goes_on_serving_until_the_switch,
                stop_first_keeps_the_old_ones_for_a_failure,
                a_cut_off_stop_first_is_taken_up_again,
                a_failed_start_leaves_the_old_ones_serving,
                a_health_check_that_passes_makes_it_ready,
                a_health_check_that_fails_says_why,
                switching_to_what_is_not_there_is_an_error,
                switching_may_be_repeated,
            },
            task::{
                a_task_ends_with_its_code,
                a_task_that_ended_is_left_as_it_is,
                a_crashing_service_is_started_again_by_the_engine,
            },
            log::{
                lines_come_in_order_from_both_outputs,
                the_tail_is_the_end,
                since_and_until_cut_exactly,
                following_ends_with_the_replica,
                a_line_is_seen_while_the_replica_runs,
            },
            watch::{
                events_from_a_snapshot_on_leave_no_gap,
                what_happens_is_told_as_it_happens,
                a_removal_is_told,
                a_burst_ends_in_the_latest_state,
                an_unknown_place_asks_for_a_new_snapshot,
                what_an_engine_says_of_its_objects_is_told,
            },
        }
    };
}

pub(crate) use every_case;
pub(crate) use suite;

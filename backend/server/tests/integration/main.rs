//! Tests of the whole server against real engines.
//!
//! `tools/test.sh` starts the engines and names them in variables; what is not there is skipped,
//! with a line that says so. Each test has a server and a data directory of its own, and fails when
//! it leaves anything behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

mod client;
mod client_files;
mod client_terminal;
mod console;
mod creating;
mod docker_restart;
mod docs;
mod events;
mod examples;
mod exec_control;
mod exec_input;
mod exec_journals;
mod exec_soak;
mod exec_streams;
mod execs;
mod files;
mod files_hostile;
mod http_problems;
mod http_rare;
mod http_sessions;
mod image_archives;
mod image_hostile;
mod image_registry;
mod images;
mod images_api;
mod lifecycle;
mod limits;
mod logs;
mod oci;
mod orphans;
mod ports;
mod processes;
mod profile;
mod restart;
mod rootless;
mod run_background;
mod run_flags;
mod run_once;
mod run_terminal;
mod sessions_by_name;
mod shutdown;
mod terminal_ends;
mod terminal_framed;
mod terminal_many;
mod terminal_paste;
mod terminal_plain;
mod terminal_programs;
mod terminal_resume;
mod terminal_soak;
mod tickets;

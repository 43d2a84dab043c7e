//! The program as it is called: exit codes and where it writes.

use std::process::{Command, Output};

fn tour(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tour")).args(args).env_remove("KETTLE_SEED").output().expect("the tour starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the tour writes text")
}

#[test]
fn what_it_does_not_know_is_refused_with_a_message() {
    for args in [&["--speed"][..], &["--lang"], &["--lang", "fr"], &["--step", "nothing"], &["gen"]] {
        let output = tour(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(text(&output.stderr).starts_with("tour: "), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_step_is_shown_in_the_language_that_was_asked_for() {
    let english = tour(&["--step", "gen"]);
    assert_eq!(english.status.code(), Some(0));
    assert!(text(&english.stdout).contains("got: hello\n"));
    assert!(text(&english.stdout).contains("✓ the same 3 lines"));

    let chinese = tour(&["--step", "gen", "--lang", "zh"]);
    assert_eq!(chinese.status.code(), Some(0));
    assert!(text(&chinese.stdout).contains("✓ 共 3 行"));
}

#[test]
fn without_a_python_the_stored_output_is_compared() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tour")).args(["--step", "gen"]).env("PATH", "").output().expect("it starts");
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("there is no python3 here"));
}

#[test]
fn the_seed_that_it_prints_repeats_the_failure() {
    let found = text(&tour(&["--step", "lost_update"]).stdout);
    let seed = found.lines().find_map(|line| line.trim().strip_prefix("again with KETTLE_SEED=")).expect("a seed");
    let again = Command::new(env!("CARGO_BIN_EXE_tour"))
        .args(["--step", "lost_update"])
        .env("KETTLE_SEED", seed)
        .output()
        .expect("it starts");
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(text(&again.stdout), found);
}

#[test]
fn the_step_of_processes_runs_this_program_again() {
    let output = tour(&["--step", "in_processes"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("[supervisor] worker 0 died: exit status: 1\n"));
}

#[test]
fn no_colours_outside_a_terminal() {
    let output = tour(&["--step", "lazy_range"]);
    assert!(!text(&output.stdout).contains('\x1b'));
}

#[test]
fn help_and_list_succeed() {
    assert!(text(&tour(&["--help"]).stdout).starts_with("usage: tour"));
    let list = tour(&["--list"]);
    assert_eq!(list.status.code(), Some(0));
    assert!(text(&list.stdout).contains("jumping_range"));
}

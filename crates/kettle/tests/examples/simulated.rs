//! The simulations: the race that is found, and said again by its seed; the day, the same each time.

use crate::server::command;

/// What it prints, without what it says of its speed.
fn said(name: &str, args: &[&str], seed: Option<&str>) -> String {
    let mut command = command(name);
    command.args(args).env_remove("KETTLE_SEED").envs(seed.map(|seed| ("KETTLE_SEED", seed)));
    let output = command.output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let lines = said.lines().filter(|line| !line.contains(" seconds"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_race_is_found_and_replayed_by_its_seed() {
    let found = said("race", &[], None);
    assert!(found.contains("a sale is lost") && found.contains("let others run at a checkpoint"), "{found}");
    let seed = found.lines().find_map(|line| line.trim().strip_prefix("again with KETTLE_SEED=")).unwrap();
    assert_eq!(said("race", &[], Some(seed)), found);
    assert_eq!(said("race", &[], None), found);
}

#[test]
fn a_simulated_hour_is_the_same_each_time() {
    let hour = said("simulated_day", &["20", "1"], None);
    assert!(hour.contains("1200 lines heard"), "{hour}");
    assert_eq!(said("simulated_day", &["20", "1"], None), hour);
    assert_ne!(said("simulated_day", &["20", "1", "7"], None), hour);
}

#[test]
fn a_server_runs_in_a_simulation_if_the_environment_says_so() {
    for name in ["echo", "chat", "proxy", "kv"] {
        let run = |seed: &str| {
            let output = command(name).env("KETTLE_DRIVER", "sim").env("KETTLE_SEED", seed).output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        assert!(run("1").starts_with("listening on 127.0.0.1:32768\n"), "{}", run("1"));
        assert_eq!(run("2"), run("2"));
    }
}

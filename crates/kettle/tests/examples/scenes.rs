//! The four scenes with the kettle: what they account for, in simulated time; the picture; what is refused.

use crate::server::command;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// In simulated time, where nothing takes longer than it should.
fn simulated() -> Command {
    let mut command = command("kettle");
    command.env("KETTLE_DRIVER", "sim").env("KETTLE_SEED", "1");
    command
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn picture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn each_minute_of_each_scene_is_accounted_for() {
    let said = said(&simulated().output().unwrap());
    let lines: Vec<_> = said.lines().filter_map(|line| line.trim().strip_prefix("tea after ")).collect();
    let expected = [
        "8.0 minutes: 0.0 of television, 0.0 on the way, 8.0 waiting",
        "10.0 minutes: 8.0 of television, 2.0 on the way, 0.0 waiting",
        "8.0 minutes: 0.0 of television, 0.0 on the way, 8.0 waiting",
        "8.5 minutes: 8.0 of television, 0.5 on the way, 0.0 waiting",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_bars_show_the_same_and_end_together() {
    let said = said(&simulated().output().unwrap());
    let bars = |name: &str| -> Vec<String> {
        said.lines().filter_map(|line| Some(line.trim().strip_prefix(name)?.trim().to_owned())).collect()
    };
    let (person, kettle) = (bars("person "), bars("kettle "));
    let watched = |bar: &String| bar.matches('█').count();
    assert_eq!(person.iter().map(watched).collect::<Vec<_>>(), [0, 32, 0, 32]);
    assert!(kettle.iter().all(|bar| bar.matches('~').count() == 32), "{said}");
    assert_eq!(person[1], "████████??".repeat(4));
    for (person, kettle) in person.iter().zip(&kettle) {
        assert_eq!(person.chars().count(), kettle.chars().count(), "{said}");
    }
}

#[test]
fn with_real_waiting_the_scenes_are_the_same() {
    let said = said(&command("kettle").arg("--fast").output().unwrap());
    assert_eq!(said.matches("tea after ").count(), 4, "{said}");
    assert!(said.contains(" watches television "), "{said}");
}

#[test]
fn the_picture_is_complete_and_the_same_each_time() {
    let draw = |name: &str| {
        let file = picture(name);
        said(&simulated().arg("--svg").arg(&file).output().unwrap());
        fs::read_to_string(file).unwrap()
    };
    let svg = draw("kettle.svg");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains("viewBox="), "{svg}");
    // Nothing that is elsewhere.
    assert!(!svg.contains("href") && svg.matches("http").count() == 1, "{svg}");
    for words in
        ["4. A whistling kettle", "tea after 8.5 minutes", "watches television", "goes and looks", "has boiled"]
    {
        assert!(svg.contains(words), "{words}: {svg}");
    }
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    assert_eq!(draw("kettle_again.svg"), svg);
}

#[test]
fn bad_arguments_are_named() {
    let refused = |args: &[&str], code: i32, words: &[&str]| {
        let output = command("kettle").args(args).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(words.iter().all(|word| message.contains(word)), "{message}, wanted {words:?}");
        assert_eq!(message.lines().count(), 1, "{message}");
    };
    let usage = "usage: kettle [--fast] [--svg FILE]";
    refused(&["--slow"], 2, &["there is no argument `--slow`", usage]);
    refused(&["tea"], 2, &["there is no argument `tea`", usage]);
    refused(&["--svg"], 2, &["`--svg` wants a file", usage]);
    refused(&["--svg", "--fast"], 2, &["`--svg` wants a file", usage]);
    let nowhere = picture("no_such_directory").join("kettle.svg");
    refused(&["--fast", "--svg", nowhere.to_str().unwrap()], 1, &["kettle: write ", "no_such_directory"]);
}

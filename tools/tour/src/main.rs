//! The tour: the tutorial's ladder, a step at a time, with the code that runs, what it prints, and what Python prints.
//!
//! Modules, bottom-up: [`text`] is words in two languages, [`layout`] breaks them into lines, [`screen`] writes them,
//! [`listing`] cuts code out of the compiled source, [`python`] runs the twins, [`again`] this program itself, [`tour`]
//! walks through [`chapters`].

#![forbid(unsafe_code)]

mod text;
mod limits;
mod layout;
mod screen;
mod listing;
mod python;
mod again;
mod tour;
mod chapters;
mod args;

use args::{Args, Command};
use screen::Screen;
use std::io;
use std::process::ExitCode;
use tour::{Tour, Verdict};

fn main() -> ExitCode {
    if again::is_again() {
        return match chapters::cores::tea_house() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            eprintln!("tour: {message}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    let mut screen = Screen::stdout();
    let tour = Tour { chapters: chapters::CHAPTERS, lang: args.lang };
    let verdict = match &args.command {
        Command::Help => {
            screen.line(args::USAGE);
            Verdict::Agrees
        }
        Command::List => {
            tour.list(&mut screen);
            Verdict::Agrees
        }
        Command::Walk => tour.walk(&mut screen),
        Command::Step(name) => match tour.walk_step(&mut screen, name) {
            Some(verdict) => verdict,
            None => {
                eprintln!("tour: there is no step `{name}`: `--list` names them all");
                return ExitCode::from(2);
            }
        },
    };
    match (screen.finish(), verdict) {
        (Ok(()), Verdict::Agrees) => ExitCode::SUCCESS,
        (Ok(()), Verdict::Differs) => ExitCode::FAILURE,
        // Whoever reads has seen enough (`tour | head`).
        (Err(error), Verdict::Agrees) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        (Err(error), _) => {
            eprintln!("tour: write to the terminal: {error}");
            ExitCode::FAILURE
        }
    }
}
